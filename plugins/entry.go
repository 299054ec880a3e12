package main

import (
	"os"
	"runtime"
	"syscall"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"golang.org/x/sys/unix"
)

// fromEntry is what our entry (entry_linux_amd64.s, entry_linux_arm64.s) puts into GOMAXPROCS.
const fromEntry = "01"

// files is the limit of open files that the entry found before it lowered it; zero where
// it did not.
var files syscall.Rlimit

// settle takes back what the entry did for the start of Go's runtime alone, so that neither
// we nor the programs that we start have it.
func settle() {
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
	// threads look for work: without it ADD, CHECK and DEL take 12 % less CPU. After our
	// entry it is so already, and this does nothing.
	runtime.GOMAXPROCS(1)
}
