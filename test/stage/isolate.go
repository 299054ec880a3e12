package stage

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"

	"golang.org/x/sys/unix"
)

// childMark tells the second run of the program that it is the isolated one.
const childMark = "BRIDGEPORT_STAGE_CHILD"

// Isolate moves the program into mount, PID and network namespaces of its own,
// with empty /run and /var/lib, so that nothing that it does reaches the machine
// and nothing survives its end. It is the first statement of main or TestMain:
//
//	if code, isChild := stage.Isolate(); !isChild {
//		os.Exit(code)
//	}
//
// The caller's process only waits for its isolated copy and hands signals on.
func Isolate() (code int, isChild bool) {
	// In its PID namespace the copy is number 1. A variable left in somebody's
	// environment by accident must not pass for isolation.
	if os.Getenv(childMark) != "" && os.Getpid() == 1 {
		if err := enter(); err != nil {
			return complain(err), false
		}
		return 0, true
	}
	if os.Geteuid() != 0 {
		return complain(errors.New("root is needed to make network namespaces")), false
	}
	return runCopy()
}

func complain(err error) int {
	fmt.Fprintf(os.Stderr, "stage: isolate: %v\n", err)
	return 1
}

// enter finishes the isolation from inside.
func enter() error {
	if err := os.Unsetenv(childMark); err != nil {
		return err
	}
	// Otherwise the mounts below would appear on the machine too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("/: make private: %w", err)
	}
	// The old /proc shows the outer process numbers: /proc/self is wrong there.
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("/proc: mount: %w", err)
	}
	for _, dir := range []string{"/run", "/var/lib"} {
		if err := unix.Mount("stage", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("%s: mount tmpfs: %w", dir, err)
		}
	}
	return loopbackUp()
}

// runCopy runs the program again in fresh namespaces and waits for it.
func runCopy() (code int, isChild bool) {
	// Pdeathsig fires at the end of the thread that started the copy.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), childMark+"=1")
	cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID,
		// The end of process 1 ends its whole PID namespace, so no plugin outlives us.
		Pdeathsig: unix.SIGKILL,
		// Ctrl-C reaches the whole foreground group: without a group of its own
		// the copy would get it twice, from the terminal and from us.
		Setpgid: true,
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return complain(fmt.Errorf("start in new namespaces: %w", err)), false
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // fails only where the copy has ended
		}
	}()
	return exitCode(cmd.Wait()), false
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		return complain(fmt.Errorf("wait for the copy: %w", err))
	}
	if status, ok := exit.Sys().(unix.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()) // as shells tell it
	}
	return exit.ExitCode()
}
