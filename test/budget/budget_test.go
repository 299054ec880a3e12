package budget

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

var update = flag.Bool("update", false, "write budget.txt anew")

func TestMain(m *testing.M) { stage.Main(m.Run) }

// runs: noise of the runtime is not in all of them.
const runs = 7

const (
	table = "budget.txt"
	head  = `What each verb asks of the kernel, for the second container of a network with an IPv4
address and one published port, without what Go's runtime does for itself. A change here
is a change of speed: say why in the commit. Written by go test ./test/budget -update.
`
)

// TestCounter feeds the counter what strace writes.
func TestCounter(t *testing.T) {
	got := count(`7 execve("/bin/bridge", ["bridge"], 0x1 /* 9 vars */) = 0
7 sendto(3<socket:[1]>, [{nlmsg_len=40, nlmsg_type=RTM_NEWLINK, nlmsg_seq=1}, {nlmsg_len=4, nlmsg_type=0x14 /* NLMSG_??? */}], 44, 0, NULL, 0) = 44
7 recvfrom(3<socket:[1]>,  <unfinished ...>
8 write(4<anon_inode:[eventfd]>, "\1", 8) = 8
7 <... recvfrom resumed>0xc00, 32768, 0, NULL, NULL) = -1 EINTR (Interrupted system call)
7 recvfrom(3<socket:[1]>, [{nlmsg_type=NLMSG_ERROR}], 32768, 0, NULL, NULL) = 36
7 flock(5</run/lock>, LOCK_EX) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)
7 flock(5</run/lock>, LOCK_EX) = 0
7 sendmsg(6<socket:[2]>, {msg_iov=[{iov_base=[{nlmsg_len=20, nlmsg_type=NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_GETGEN, nlmsg_seq=1}], iov_len=20}]}, 0) = 20
`).String()
	want := `5 system calls, 3 netlink messages, 1 programs
    files     flock 1
    sockets   recvfrom 1, sendmsg 1, sendto 1
    messages  NFT_MSG_GETGEN 1, RTM_NEWADDR 1, RTM_NEWLINK 1
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestBudget runs every verb under strace and compares the counts with the table.
func TestBudget(t *testing.T) {
	got := head
	for _, v := range []variant{
		{name: "chained", chained: true},
		{name: "one plugin"},
		{name: "iptables", chained: true, iptables: true},
	} {
		got += "\n" + measure(t, v)
	}
	if *update {
		if err := os.WriteFile(table, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if diff := difference(string(want), got); diff != "" {
		t.Errorf("the budget has changed. If it is meant: go test ./test/budget -update\n%s", diff)
	}
}

// difference is the lines that only one of them has.
func difference(want, got string) string {
	var b strings.Builder
	title := ""
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(wants), len(gots)) {
		line := func(of []string) string {
			if i < len(of) {
				return of[i]
			}
			return ""
		}
		if w := line(wants); !strings.HasPrefix(w, " ") {
			title, _, _ = strings.Cut(w, ":")
		}
		if line(wants) != line(gots) {
			fmt.Fprintf(&b, "%s\n  - %s\n  + %s\n", title, line(wants), line(gots))
		}
	}
	return b.String()
}

// variant is a configuration of the plugins.
type variant struct {
	name              string
	chained, iptables bool
}

// call is one run of one plugin.
type call struct {
	verb   string
	again  string // tells a second DEL from the first
	config stage.Conf
}

// measure gives the lines of the table for one variant.
func measure(t *testing.T, v variant) string {
	r := newRig(t, v)
	least1 := make(map[string]counts)
	var order []string
	for run := range runs + 1 {
		r.life(func(c call, counted counts) {
			name := fmt.Sprintf("%s: %s %s%s", v.name, c.config.Plugin(), c.verb, c.again)
			if run == 0 {
				order = append(order, name) // the first life makes the bridge and the rest
				return
			}
			if v.iptables {
				// iptables' own calls depend on its version.
				counted = counts{"execve": counted["execve"]}
			}
			least1[name] = least(least1[name], counted)
		})
	}
	var b strings.Builder
	for _, name := range order {
		fmt.Fprintf(&b, "%s: %s", name, least1[name])
	}
	return b.String()
}

// rig is a host with one container that stays.
type rig struct {
	*stage.Stage
	container       *stage.Box
	variant         variant
	bridge, portmap stage.Conf
}

func newRig(t *testing.T, v variant) *rig {
	t.Helper()
	r := &rig{Stage: stage.Bare(t), variant: v}
	r.Host = r.Space("node") // with the settings of a real one
	ports := stage.Conf{"portMappings": []map[string]any{stage.Port("tcp", 8080, 80)}}
	ipam := r.IPAM("10.88.0.0/16").With(stage.Conf{"routes": []stage.Conf{{"dst": "0.0.0.0/0"}}})
	r.bridge = stage.Conf{"type": "bridge", "isGateway": true, "ipMasq": true, "hairpinMode": true, "ipam": ipam}
	r.portmap = stage.Conf{"type": "portmap", "runtimeConfig": ports}
	if !v.chained {
		r.bridge = r.bridge.With(stage.Conf{"runtimeConfig": ports})
	}
	if v.iptables {
		r.bridge = r.bridge.With(stage.Conf{"ipMasqBackend": "iptables"})
		r.portmap = r.portmap.With(stage.Conf{"backend": "iptables"})
	}
	// The neighbour has no ports: they are the measured one's.
	r.run(call{verb: "ADD", config: r.bridge.With(stage.Conf{"runtimeConfig": nil})}, r.Container())
	r.container = r.Container()
	stage.Serve(r.Host, "tcp", 7000)
	return r
}

// life is what happens to one container; see is told each call and its counts.
func (r *rig) life(see func(call, counts)) {
	r.Helper()
	// A connection that the kernel tracks for two minutes more (TIME_WAIT): where there is none at
	// all, DEL does not ask for any.
	_, err := r.Host.Ask("tcp", "127.0.0.1:7000", stage.Patience)
	r.Must(err)
	trace := func(c call) any {
		counted, out := r.run(c, r.container)
		see(c, counted)
		var result any
		if c.verb == "ADD" {
			r.Must(json.Unmarshal(out, &result))
		}
		return result
	}
	result := trace(call{verb: "ADD", config: r.bridge})
	bridge, chain := r.bridge.With(stage.Conf{"prevResult": result}), r.portmap.With(stage.Conf{"prevResult": result})
	if r.variant.chained {
		trace(call{verb: "ADD", config: chain})
	}
	trace(call{verb: "CHECK", config: bridge})
	if r.variant.chained {
		trace(call{verb: "CHECK", config: chain})
		trace(call{verb: "DEL", config: chain})
	}
	trace(call{verb: "DEL", config: bridge})
	if r.variant.chained {
		trace(call{verb: "DEL", again: " again", config: chain})
	}
	trace(call{verb: "DEL", again: " again", config: bridge})
	if !r.variant.iptables {
		trace(call{verb: "STATUS", config: r.bridge})
		trace(call{verb: "VERSION", config: r.bridge})
	}
}

// run is one call under strace.
func (r *rig) run(c call, box *stage.Box) (counts, []byte) {
	r.Helper()
	trace, out := r.Strace(r.Calling(box, "eth0", c.verb, c.config), "-y", "-qq", "--seccomp-bpf", "-s", "4096", "-e", "signal=none",
		"-e", "trace=!"+strings.Join(runtimeCalls, ","))
	return count(trace), out
}
