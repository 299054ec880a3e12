package foreign

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// TestLocked: whatever changes what attachments share waits for whoever does so just now.
func TestLocked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	for name, change := range map[string]func() error{
		"settings": func() error { return plan.Locked(held) },
		"retire": func() error {
			h, err := plan.Open(nil)
			if err != nil {
				return err
			}
			defer h.Close()
			return RetireBridge(h, "br0")
		},
		"guard": func() error {
			return plan.With(nil, func(h *plan.Session) error { return SweepIPTables(h, "net", nil) })
		},
		"legacy": func() error { return eachLegacy(func(iptables.Family) error { return held() }) },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := stage.NewSpace("locked" + name)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if name == "guard" { // all that a killed ADD may have left
				if out, err := stage.Try(s, "", "iptables", "-t", "raw", "-N", iptables.GuardChain); err != nil {
					t.Fatal(out, err)
				}
			}
			var lock interface{ Close() error }
			if err := s.Do(func() (err error) {
				lock, err = flock.Netns()
				return err
			}); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- s.Do(change) }()
			select {
			case err := <-done:
				_ = lock.Close()
				t.Fatalf("did not wait for the lock: %v", err)
			case <-time.After(200 * time.Millisecond):
			}
			if err := lock.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// held is nil while somebody has the lock.
func held() error {
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("nobody has the lock: %v", err)
	}
	return nil
}
