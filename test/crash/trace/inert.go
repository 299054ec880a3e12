package trace

import (
	"fmt"
	"strings"
)

// starts are calls that make another process, or another program of one.
var starts = map[string]bool{"clone": true, "clone3": true, "fork": true, "vfork": true, "execve": true, "execveat": true}

// idle are other calls whose effect ends with the processes: sockets, locks.
var idle = map[string]bool{
	"socket": true, "bind": true, "setsockopt": true, "setns": true, "unshare": true, "flock": true,
	"fsopen": true, "fsconfig": true, "fsmount": true, "exit_group": true,
}

// questions are the netlink messages that ask: RTM_GETLINK, -ADDR, -ROUTE and -NEIGH
// (linux/rtnetlink.h), NFT_MSG_GETTABLE, -CHAIN, -RULE, -SET, -SETELEM, -GEN and -OBJ in
// their subsystem (linux/netfilter/nf_tables.h), IPCTNL_MSG_CT_GET and NFNL_MSG_COMPAT_GET.
var questions = func() map[string]bool {
	asked := make(map[string]bool)
	const conntrack, nftables, compat = 1 << 8, 10 << 8, 11 << 8
	for _, kind := range []int{18, 22, 26, 30, nftables + 1, nftables + 4, nftables + 7, nftables + 10, nftables + 13, nftables + 16, nftables + 19, conntrack + 1, compat} {
		asked[fmt.Sprintf("netlink type %d", kind)] = true
	}
	return asked
}()

// Inert says whether nothing is left of the call when its whole process tree has ended, but what
// Outcome has. A message that is no netlink is to the program itself, with a socket to be closed.
func (e Effect) Inert() bool {
	kind, _, _ := strings.Cut(e.Detail, ",")
	return starts[e.Name] || idle[e.Name] || questions[kind] || kind == "no netlink" || e.Kept || e.ToPipe() || strings.HasPrefix(e.Detail, "/memfd:trace")
}

// ToPipe says whether the call writes to another process.
func (e Effect) ToPipe() bool {
	return strings.HasPrefix(e.Name, "write") && strings.HasPrefix(e.Detail, "pipe:")
}

// Same says whether a kill of who before call n of calls, the first of which is number 1,
// leaves what a kill before the call n-1 does. A program goes on when the plugin alone
// is killed, whichever of its calls it is at; so it matters whether it has been started, and
// how much it was told.
func Same(calls []Effect, n int, who Victim) bool {
	if n < 2 || n > len(calls) {
		return false
	}
	last, now := calls[n-2], calls[n-1]
	switch {
	case who == Tree:
		return last.Inert()
	case last.Program != calls[0].Program:
		return now.Program == last.Program && !starts[last.Name]
	}
	return last.Inert() && !starts[last.Name] && !strings.HasPrefix(last.Detail, "pipe:")
}
