// Package start is the processor's entry of the plugins: code that the kernel runs before
// Go's own entry, because three things can only be said before Go's runtime starts. Settle
// takes back what holds for the start alone.
//
// The entry does three things:
//
//   - GOMAXPROCS=01 behind a user's own one. The runtime starts fewer threads, and Settle
//     need not stop the world and give back a processor's spans (a page fault in five).
//   - Timers may be a millisecond late (PR_SET_TIMERSLACK). The runtime's watching thread
//     would wake up each 70 us, to find the one goroutine where it left it.
//   - No more than 3 open files (RLIMIT_NOFILE), which are stdin, stdout and stderr. The
//     runtime would read the cgroup's share of the processors (runtime/cgroup_linux.go:
//     /proc/self/cgroup, /proc/self/mountinfo and cpu.max, 0.2 ms), and no setting keeps it
//     from that. It would also read /sys/kernel/mm/transparent_hugepage/hpage_pmd_size.
//
// Hence a rule for dependencies: until Settle returns none may open a file or a socket. A
// package that does so in its init or in a package variable gets EMFILE.
//
// Together they save a sixth of an ADD's CPU, and a quarter of VERSION's: 1.1 ms of CPU
// instead of 1.5. Of that, one processor is 6 % of an ADD.
//
// The linker puts the entry into the program by -E bridgeport_entry; without -E nothing
// calls it, and the linker leaves it out. Only Go's own linker knows -E that way: an external
// one drops it and says nothing. So the Makefile also says -linkmode internal, which fails
// where an external linker would be needed.
//
// `make build PLAIN=1` is the off-switch: Go's own entry, and Go's own GOEXPERIMENT. The
// plugins do the same then. A processor without a file here (entry_linux_*.s) has no other.
// test/plain runs scenarios with such plugins.
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
// the plugin nor the programs that it starts have it. main calls it first. Without the entry
// it only limits Go to one processor.
func Settle() {
	if files.Max > 0 {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files) // it was so before: nobody refuses it
	}
	// 0 is the slack that this thread began with. That of the runtime's threads stays, until
	// one of them starts a program.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	if slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err == nil {
		netns.TimerSlack = uintptr(slack)
	}
	if os.Getenv("GOMAXPROCS") == fromEntry {
		os.Unsetenv("GOMAXPROCS")
	}
	// One goroutine works, and mostly waits for the kernel. With a second processor idle
	// threads look for work: without it ADD, CHECK and DEL take 12 % less CPU. After the
	// entry it is so already, and this does nothing.
	runtime.GOMAXPROCS(1)
}
