package flock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// open opens the lock file once more. A flock belongs to one opening of a file, so
// two of them in one process are as good as two processes.
func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // some tests have closed it
	return f
}

func TestTakeNamesTheHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := Take(int(open(t, path).Fd()), time.Second); err != nil {
		t.Fatal(err)
	}
	err := Take(int(open(t, path).Fd()), 20*time.Millisecond)
	want := fmt.Sprintf("lock is held by process %d%s for more than 20ms", os.Getpid(), command("self"))
	if !errors.Is(err, ErrTimeout) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestTakeWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first := open(t, path)
	if err := Take(int(first.Fd()), time.Second); err != nil {
		t.Fatal(err)
	}
	taken := make(chan error)
	second := open(t, path)
	go func() { taken <- Take(int(second.Fd()), time.Minute) }()
	select {
	case err := <-taken:
		t.Fatalf("got the lock while another had it: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-taken; err != nil {
		t.Error(err)
	}
}

// TestTakeAfterTimeout: whoever gave up must not get the lock later, unseen.
func TestTakeAfterTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, second := open(t, path), open(t, path)
	if err := Take(int(first.Fd()), time.Second); err != nil {
		t.Fatal(err)
	}
	if err := Take(int(second.Fd()), time.Millisecond); !errors.Is(err, ErrTimeout) {
		t.Fatalf("got %v, want a timeout", err)
	}
	_ = second.Close() // as every caller does after an error
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Take(int(open(t, path).Fd()), time.Second); err != nil {
		t.Error(err)
	}
}

func TestTakeBadFile(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "lock"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Take(int(f.Fd()), time.Second); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v, want EBADF", err)
	}
}

func TestHolderUnknown(t *testing.T) {
	if got := holder(int(open(t, filepath.Join(t.TempDir(), "lock")).Fd())); got != "another process" {
		t.Errorf("got %q for a lock that nobody has", got)
	}
	if got := command("0"); got != "" { // no process has this number
		t.Errorf("got the name %q", got)
	}
}

// TestNetns: one holder for each namespace, without any file of ours.
func TestNetns(t *testing.T) {
	first, err := Netns()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	again, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := Take(int(again.Fd()), time.Millisecond); !errors.Is(err, ErrTimeout) {
		t.Errorf("taken twice: %v", err)
	}
	if want := fmt.Sprintf("process %d%s", os.Getpid(), command("self")); holder(int(first.Fd())) != want {
		t.Errorf("held by %s, want %s", holder(int(first.Fd())), want)
	}
}

// TestNetnsWaitsOnce: a verb asks for the lock once for each object. If it waited each time, a stopped
// process would hold it up for minutes.
func TestNetnsWaitsOnce(t *testing.T) {
	first, err := Netns()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	wait := netnsTimeout
	defer func() { netnsTimeout = wait }()
	netnsTimeout = 300 * time.Millisecond
	begin := time.Now()
	for range 10 {
		if _, err := Netns(); !errors.Is(err, ErrTimeout) {
			t.Fatalf("got %v, want a timeout", err)
		}
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("ten objects took %v", took)
	}
}
