package snapshot

import (
	"errors"
	"strings"
	"time"
)

// Rest takes states until two in a row are equal, and returns the last one: the kernel does
// some things on its own time. It is an error if there are none within the time.
func Rest(within time.Duration, take func() (Snapshot, error)) (Snapshot, error) {
	last, err := take()
	for end := time.Now().Add(within); err == nil && time.Now().Before(end); {
		time.Sleep(120 * time.Millisecond)
		var now Snapshot
		if now, err = take(); err == nil && len(Diff(last, now)) == 0 {
			return now, nil
		}
		last = now
	}
	return nil, errors.Join(errors.New("the host does not come to rest"), err)
}

// Await takes states until one equals want. What was left stays left, so waiting for the
// kernel (a dead namespace takes its links along later) hides nothing. The error has the
// last difference.
func (s Snapshot) Await(within time.Duration, take func() (Snapshot, error)) error {
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		now, err := take()
		if err != nil {
			return err
		}
		diff := Diff(s, now)
		if len(diff) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return errors.New("left behind, or lost:\n" + strings.Join(diff, "\n"))
		}
	}
}
