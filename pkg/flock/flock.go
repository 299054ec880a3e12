// Package flock takes flock(2) locks with a bound on the wait. An error names the holder.
//
//	lock, err := flock.Netns()
//	defer lock.Close()
package flock

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"golang.org/x/sys/unix"
)

// ErrTimeout says that somebody else held the lock for the whole wait.
var ErrTimeout = errors.New("lock is held")

// Take locks an open file exclusively, waiting up to timeout. The lock is released when
// the file is closed or the process ends. An error wraps ErrTimeout and names the holder.
func Take(fd int, timeout time.Duration) error {
	err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	done := make(chan error, 1)
	go func() {
		// A wait in the kernel keeps the order of arrival, which polling would not.
		for {
			err := unix.Flock(fd, unix.LOCK_EX)
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
		return fmt.Errorf("%w by %s for more than %s", ErrTimeout, holder(fd), timeout)
	}
}

// Netns locks the calling thread's network namespace itself, which needs no file. It serialises the
// plugins' changes to the firewall of a namespace. Close the file to release the lock.
func Netns() (*os.File, error) {
	f, err := file.Open("/proc/thread-self/ns/net", unix.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("firewall: lock: %w", err)
	}
	if err := Take(int(f.Fd()), netnsTimeout); err != nil {
		_ = f.Close() // read-only, nothing to lose
		if errors.Is(err, ErrTimeout) {
			netnsTimeout = 0 // a verb takes the lock once for each object, and waits once
			return nil, fmt.Errorf("firewall: %w", err)
		}
		return nil, fmt.Errorf("firewall: lock: %w", err)
	}
	return f, nil
}

// netnsTimeout: one change takes well under a millisecond by netlink and up to a
// second by iptables, so only a stopped process can hold the lock this long.
var netnsTimeout = 20 * time.Second

// holder finds the process in /proc/locks, whose lines are
// "1: FLOCK  ADVISORY  WRITE 3036 00:04:4026531833 0 EOF".
func holder(fd int) string {
	var st unix.Stat_t
	data, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Fstat(fd, &st) != nil {
		return "another process"
	}
	inode := fmt.Sprintf(":%d", st.Ino)
	for line := range strings.Lines(string(data)) {
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
