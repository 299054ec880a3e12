// Package start is the processor's entry of the plugins and of bridgeport: code that the kernel runs before
// Go's own entry, because three things can only be said before Go's runtime starts. Settle
// takes back what holds for the start alone.
//
//   - GOMAXPROCS=01 behind a user's own one. The runtime starts fewer threads, and Settle
//     need not stop the world and give back a processor's spans (a page fault in five).
//   - Timers may be a millisecond late (PR_SET_TIMERSLACK). The runtime's watching thread
//     would wake up each 70 us, to find the one goroutine where it left it.
//   - No more than 3 open files (RLIMIT_NOFILE), which are stdin, stdout and stderr. The
//     runtime would read the cgroup's share of the processors (runtime/cgroup_linux.go:
//     /proc/self/cgroup, mountinfo and the limits, 0.2 ms), and no setting keeps it from that;
//     also /sys/kernel/mm/transparent_hugepage/hpage_pmd_size.
//
// The first saves 6 % of an ADD's CPU, the others 10 %; of VERSION's all three save a
// quarter (1.1 ms instead of 1.5); `bridgeport publish` takes 4.7 ms instead of 5.4.
//
// A rule for dependencies follows: until Settle returns none may open a file or a socket. A
// package that does so in its init or in a package variable gets EMFILE.
//
// The linker takes the entry by -E bridgeport_entry; without -E nothing calls it, and the
// linker leaves it out. An external linker drops -E and says nothing. So the Makefile also
// says -linkmode internal, which fails where an external linker would be needed.
//
// The off-switch is `make build PLAIN=1`: Go's own entry and Go's own GOEXPERIMENT. The
// plugins do the same then; test/plain runs scenarios with them. A processor without a file
// entry_linux_*.s here has Go's own entry, too.
package start

import (
	"os"
	"runtime"
	"syscall"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"golang.org/x/sys/unix"
)

// fromEntry is the entry's GOMAXPROCS. The runtime reads it as 1.
const fromEntry = "01"

// files is the limit of open files before the entry lowered it. Only the entry writes it;
// it is zero where the entry did not run.
var files syscall.Rlimit

// Settle takes back what the entry did for the start of Go's runtime alone, so that neither
// the program nor those that it starts have it. main calls it first. Without the entry
// it only limits Go to one processor.
func Settle() {
	if files.Max > 0 {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files) // it was so before: nobody refuses it
	}
	// 0 is the slack that this thread began with. That of the runtime's threads stays, until
	// one of them starts a program.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	netns.KeepTimerSlack()
	if os.Getenv("GOMAXPROCS") == fromEntry {
		os.Unsetenv("GOMAXPROCS")
	}
	// One goroutine works, and mostly waits for the kernel. With a second processor idle
	// threads look for work: without it ADD, CHECK and DEL take 12 % less CPU. After the
	// entry it is so already, and this does nothing.
	runtime.GOMAXPROCS(1)
}
