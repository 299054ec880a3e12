package trace

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// holding stops its program at the first effect whose text has a part, until let go.
type holding struct {
	part    string
	reached chan struct{}
	letGo   chan struct{}
}

func (h *holding) Before(e Effect) bool {
	if strings.Contains(e.String(), h.part) && h.reached != nil {
		close(h.reached)
		h.reached = nil
		<-h.letGo
	}
	return false
}
func (h *holding) Waiting(func() bool) {}
func (h *holding) Awake()              {}

// waiter tells when its program waits for a lock, and when it has it.
type waiter struct{ waits, awake chan func() bool }

func (w waiter) Before(Effect) bool        { return false }
func (w waiter) Waiting(still func() bool) { w.waits <- still }
func (w waiter) Awake()                    { w.awake <- nil }

// TestTurns: a program that waits for another one's lock says so, and says when it has the lock.
func TestTurns(t *testing.T) {
	dir := t.TempDir()
	script := "exec 9>>" + filepath.Join(dir, "lock") + "; flock 9; mkdir " + dir + "/"
	first := &holding{"mkdir " + dir, make(chan struct{}), make(chan struct{})}
	second := waiter{make(chan func() bool, 1), make(chan func() bool, 1)}
	ends, reached := make(chan Outcome, 2), first.reached
	run := func(name string, turns Turns) {
		out, err := Run{Path: "/bin/sh", Env: []string{"PATH=/usr/bin:/bin"}, Stdin: []byte(script + name), Turns: turns}.Do()
		if err != nil {
			t.Error(err)
		}
		ends <- out
	}
	go run("a", first)
	<-reached
	go run("b", second)
	select {
	case still := <-second.waits:
		if !still() {
			t.Error("the second one does not wait any more")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the second one does not wait")
	}
	close(first.letGo)
	for range 2 {
		if out := <-ends; out.Exit != 0 {
			t.Errorf("%+v: %s", out, out.Stderr)
		}
	}
	select {
	case <-second.awake:
	default:
		t.Error("the second one did not get the lock")
	}
}
