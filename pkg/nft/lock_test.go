package nft

import (
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
)

// TestLocked: whatever changes the rules waits for whoever changes them just now.
func TestLocked(t *testing.T) {
	for name, change := range map[string]func(c *Conn) error{
		"add":    func(c *Conn) error { return c.Add(Change{Blocks: []Block{Base()}}) },
		"delete": func(c *Conn) error { _, err := c.Delete("30629ef8-1b753752339", nil, 0); return err },
		"tidy":   func(c *Conn) error { return c.Tidy() },
		"retire": func(c *Conn) error { return c.Retire(func() (bool, bool, error) { return true, true, nil }, noChain) },
		"refill": func(c *Conn) error { return c.Refill(baseChains()...) },
	} {
		t.Run(name, func(t *testing.T) {
			s := space(t)
			if err := s.Do(func() error { return useConn(func(c *Conn) { wantNil(t, c.Add(Change{Blocks: []Block{Base()}})) }) }); err != nil {
				t.Fatal(err)
			}
			var lock interface{ Close() error }
			if err := s.Do(func() (err error) {
				lock, err = flock.Netns()
				return err
			}); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				done <- s.Do(func() error { return useConn(func(c *Conn) { wantNil(t, change(c)) }) })
			}()
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

func wantNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
