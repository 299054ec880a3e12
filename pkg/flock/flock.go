// Package flock takes flock(2) locks with a bound on the wait and names the
// process that holds one.
package flock

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrTimeout says that somebody else held the lock for the whole wait.
var ErrTimeout = errors.New("lock is held")

// Take locks f exclusively, waiting up to timeout. The lock is released when f is
// closed or the process ends. An error wraps ErrTimeout and names the holder.
func Take(f *os.File, timeout time.Duration) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	done := make(chan error, 1)
	go func() {
		// Blocking in the kernel keeps the order of arrival; polling would not.
		for {
			err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
			if !errors.Is(err, unix.EINTR) {
				done <- err
				return
			}
		}
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(timeout):
		return fmt.Errorf("%w by %s for more than %s", ErrTimeout, holder(f), timeout)
	}
}

// holder finds the process in /proc/locks, whose lines are
// "1: FLOCK  ADVISORY  WRITE 3036 00:04:4026531833 0 EOF".
func holder(f *os.File) string {
	var st unix.Stat_t
	data, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Fstat(int(f.Fd()), &st) != nil {
		return "another process"
	}
	inode := fmt.Sprintf(":%d", st.Ino)
	for _, line := range strings.Split(string(data), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 5 && fields[1] == "FLOCK" && strings.HasSuffix(fields[5], inode) {
			return "process " + fields[4] + command(fields[4])
		}
	}
	return "another process"
}

func command(pid string) string {
	name, err := os.ReadFile("/proc/" + pid + "/comm")
	if err != nil {
		return ""
	}
	return " (" + strings.TrimSpace(string(name)) + ")"
}
