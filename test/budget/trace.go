// Package budget counts what each verb asks of the kernel, and holds it to the table in
// budget.txt. A lost round trip, a file opened twice or a program executed is a changed
// line there, which a reviewer sees; time is measured by test/bench.
package budget

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// runtimeCalls are those of Go's runtime: threads, memory, signals and its scheduler.
// How many there are depends on what else the machine does.
var runtimeCalls = []string{
	"futex", "pread64", "nanosleep", "clock_nanosleep", "epoll_pwait", "sched_yield", "sched_getaffinity", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "restart_syscall", "sigaltstack", "mmap", "munmap", "madvise", "mprotect", "gettid", "getpid", "tgkill",
	"clone", "clone3", "exit", "exit_group", "prctl", "arch_prctl", "prlimit64", "brk", "set_tid_address", "set_robust_list", "rseq",
}

// counts is how often each thing was asked: system calls by name, and netlink messages
// by type, which have "message " before it.
type counts map[string]int

const message = "message "

var (
	// "PID name(arguments...": a call begins here, whether its line is whole or not.
	called = regexp.MustCompile(`^(\d+) +([a-z0-9_]+)\(`)
	// A call that a signal of the scheduler interrupts comes again.
	interrupted = regexp.MustCompile(`= (?:-1 EINTR|\? ERESTART)`)
	resumed     = regexp.MustCompile(`^(\d+) +<\.\.\. ([a-z0-9_]+) resumed>`)
	sent        = regexp.MustCompile(`nlmsg_type=([^,}]+)`)
)

// routeTypes are those that strace writes as a number, since it can't tell the protocol of
// a socket in another namespace than its own.
var routeTypes = map[string]string{
	"0x10": "RTM_NEWLINK", "0x11": "RTM_DELLINK", "0x12": "RTM_GETLINK", "0x13": "RTM_SETLINK",
	"0x14": "RTM_NEWADDR", "0x15": "RTM_DELADDR", "0x16": "RTM_GETADDR",
	"0x18": "RTM_NEWROUTE", "0x19": "RTM_DELROUTE", "0x1a": "RTM_GETROUTE",
}

func typeName(text string) string {
	text = text[strings.LastIndex(text, "|")+1:]
	number, _, _ := strings.Cut(text, " ")
	if name, ok := routeTypes[number]; ok {
		return name
	}
	return text
}

// wake is how a thread of the runtime wakes another one's poll.
const wake = "<anon_inode:[eventfd]>"

// count reads the output of strace -f -y.
func count(trace string) counts {
	c := make(counts)
	for line := range strings.Lines(trace) {
		if m := resumed.FindStringSubmatch(line); m != nil {
			if interrupted.MatchString(line) {
				c[m[2]]--
			}
			continue
		}
		m := called.FindStringSubmatch(line)
		if m == nil || strings.Contains(line, wake) || interrupted.MatchString(line) {
			continue
		}
		name := m[2]
		c[name]++
		if name != "sendto" && name != "sendmsg" {
			continue
		}
		for _, kind := range sent.FindAllStringSubmatch(line, -1) {
			c[message+typeName(kind[1])]++
		}
	}
	return c
}

// least is the least of each count: noise only adds.
func least(a, b counts) counts {
	if a == nil {
		return b
	}
	out := make(counts)
	for name, n := range a {
		if n = min(n, b[name]); n > 0 {
			out[name] = n
		}
	}
	return out
}

// sum adds up the counts that of says belong together.
func (c counts) sum(of func(name string) bool) (n int) {
	for name, k := range c {
		if of(name) {
			n += k
		}
	}
	return n
}

func isMessage(name string) bool { return strings.HasPrefix(name, message) }

// socketCalls are those on sockets; execve aside, everything else is about files.
var socketCalls = []string{"socket", "bind", "connect", "setsockopt", "getsockopt", "getsockname", "sendto", "sendmsg", "recvfrom", "recvmsg", "setns"}

func isSocket(name string) bool { return slices.Contains(socketCalls, name) }

func isFile(name string) bool { return !isMessage(name) && !isSocket(name) && name != "execve" }

// String is the lines of the table that belong to one verb.
func (c counts) String() string {
	var b strings.Builder
	calls := c.sum(func(name string) bool { return !isMessage(name) })
	fmt.Fprintf(&b, "%d system calls, %d netlink messages, %d programs\n", calls, c.sum(isMessage), c["execve"])
	for _, part := range []struct {
		name string
		of   func(string) bool
	}{{"files", isFile}, {"sockets", isSocket}, {"messages", isMessage}} {
		var words []string
		for name, n := range c {
			if part.of(name) {
				words = append(words, fmt.Sprintf("%s %d", strings.TrimPrefix(name, message), n))
			}
		}
		slices.Sort(words)
		if len(words) > 0 {
			fmt.Fprintf(&b, "    %-9s %s\n", part.name, strings.Join(words, ", "))
		}
	}
	return b.String()
}
