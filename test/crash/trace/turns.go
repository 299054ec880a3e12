package trace

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Turns decides which of several programs may make its next effect. Each program has a
// Turns of its own; a method that blocks stops only its program.
type Turns interface {
	// Before returns when the effect may be made; with true the program's tree is killed in its place.
	Before(Effect) (kill bool)
	// Waiting says that the program waits in the kernel for a lock that somebody else has; still
	// says whether it waits yet.
	Waiting(still func() bool)
	// Awake says that the program has the lock. It returns when the program may go on.
	Awake()
}

// atLock finds out whether the call, which is under way, has to wait for another process.
func (t *tracer) atLock(pid int, own *task) error {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(pid, &status, unix.WALL|unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("trace: wait at a lock: %w", err)
		case got == pid:
			return t.event(pid, status)
		case t.waits():
			own.waiting = true
			t.run.Turns.Waiting(t.stillWaits())
			return nil
		default:
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// waits says whether the kernel lists one of the program's processes as waiting for a lock.
func (t *tracer) waits() bool { return t.stillWaits()() }

// stillWaits is waits for another thread: it has a copy of the numbers.
func (t *tracer) stillWaits() func() bool {
	pids := make([]string, 0, len(t.tasks))
	for pid := range t.tasks {
		pids = append(pids, strconv.Itoa(pid))
	}
	return func() bool {
		data, err := os.ReadFile("/proc/locks")
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(data)) {
			// "1: -> FLOCK  ADVISORY  WRITE 3036 00:04:4026531833 0 EOF"
			fields := strings.Fields(line)
			if len(fields) > 5 && fields[1] == "->" && slices.Contains(pids, fields[5]) {
				return true
			}
		}
		return false
	}
}
