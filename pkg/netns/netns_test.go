package netns

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file, fifo, loop := filepath.Join(dir, "file"), filepath.Join(dir, "fifo"), filepath.Join(dir, "loop")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), unix.Mkfifo(fifo, 0o600), os.Symlink("loop", loop)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		is         error
		want       string
	}{
		{"missing", dir + "/none", ErrNotExist, ": no such network namespace"},
		{"empty path", "", ErrNotExist, ": no such network namespace"},
		{"below a file", file + "/net", ErrNotExist, ": no such network namespace"},
		{"dangling process", "/proc/0/ns/net", ErrNotExist, ": no such network namespace"},
		{"plain file, as after a reboot", file, ErrNotNetns, ": not a network namespace"},
		{"fifo, which must not hang", fifo, ErrNotNetns, ": not a network namespace"},
		{"directory", dir, ErrNotNetns, ": not a network namespace"},
		{"device", "/dev/null", ErrNotNetns, ": not a network namespace"},
		{"another kind", "/proc/self/ns/mnt", ErrNotNetns, ": not a network namespace but one of another kind"},
		{"link to itself", loop, unix.ELOOP, ": open: too many levels of symbolic links"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ns, err := Open(tt.path)
			if err == nil {
				_ = ns.Close() // the test has failed already
				t.Fatal("got a namespace")
			}
			if !errors.Is(err, tt.is) || err.Error() != tt.path+tt.want {
				t.Errorf("got %q, want %q", err, tt.path+tt.want)
			}
		})
	}
}

func TestCurrent(t *testing.T) {
	a, b := current(t), current(t)
	if a != b {
		t.Errorf("inode numbers %d and %d of the same namespace", a, b)
	}
	// Not /proc/self, which is the first thread: TestDoBreaks may have left it inside.
	ns, err := Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if ns.Ino() != a || ns.Fd() < 0 {
		t.Errorf("got inode %d and descriptor %d, want inode %d", ns.Ino(), ns.Fd(), a)
	}
	if err := ns.Close(); err != nil {
		t.Error(err)
	}
}

func current(t *testing.T) uint64 {
	t.Helper()
	ns, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	return ns.Ino()
}

// fresh makes a namespace for one test.
func fresh(t *testing.T) (*NS, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	path := filepath.Join(t.TempDir(), "sub", "ns")
	ns, err := New(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(ns.Close(), Remove(path)); err != nil {
			t.Error(err)
		}
	})
	return ns, path
}

// TestDo: the thread is inside during fn and back afterwards, whatever fn says.
func TestDo(t *testing.T) {
	ns, _ := fresh(t)
	runtime.LockOSThread() // else the goroutine might look from another thread
	defer runtime.UnlockOSThread()
	host := current(t)
	failure := errors.New("failure")
	for name, want := range map[string]error{"success": nil, "error": failure} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var inside uint64
			err := ns.Do(func() error {
				inside = current(t)
				return want
			})
			if !errors.Is(err, want) || inside != ns.Ino() || inside == host {
				t.Errorf("got %v in %d, want %v in %d", err, inside, want, ns.Ino())
			}
			if after := current(t); after != host {
				t.Errorf("came back to %d, want %d", after, host)
			}
		})
	}
}

func TestDoNested(t *testing.T) {
	outer, _ := fresh(t)
	inner, _ := fresh(t)
	err := outer.Do(func() error {
		if err := inner.Do(func() error { return nil }); err != nil {
			return err
		}
		if got := current(t); got != outer.Ino() {
			t.Errorf("came back to %d, want %d", got, outer.Ino())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestDoBreaks: a goroutine that ends inside, as t.Fatal does, takes its thread
// along, so nobody else finds himself there.
func TestDoBreaks(t *testing.T) {
	ns, _ := fresh(t)
	host := current(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_ = ns.Do(func() error { runtime.Goexit(); return nil }) // does not come back
		})
	}
	wg.Wait()
	for range 50 {
		wg.Go(func() {
			if got := current(t); got != host {
				t.Errorf("a new goroutine runs in %d, want %d", got, host)
			}
		})
	}
	wg.Wait()
}

func TestDoClosed(t *testing.T) {
	ns, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Close(); err != nil {
		t.Fatal(err)
	}
	err = ns.Do(func() error { t.Error("fn runs"); return nil })
	if !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v, want EBADF", err)
	}
}

func TestNew(t *testing.T) {
	ns, path := fresh(t)
	if ns.Ino() == current(t) {
		t.Error("got the host's namespace")
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if again.Ino() != ns.Ino() {
		t.Errorf("the path leads to %d, want %d", again.Ino(), ns.Ino())
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	var links []net.Interface
	err = ns.Do(func() (err error) {
		links, err = net.Interfaces()
		return err
	})
	if err != nil || len(links) == 0 || links[0].Name != "lo" || links[0].Flags&net.FlagUp != 0 {
		t.Errorf("links inside: %v, %v, want lo, down", links, err)
	}
	if _, err := New(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second New: got %v, want %v", err, fs.ErrExist)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a failed New has removed the first: %v", err)
	}
}

func TestRemove(t *testing.T) {
	_, path := fresh(t)
	for range 2 { // absent is success
		if err := Remove(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), path) {
		t.Errorf("still mounted, or %v", err)
	}
	// After a reboot the mount is gone and its file is not.
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Remove(path); err != nil {
		t.Error(err)
	}
}

// TestStaySlack: a program does not inherit what a thread of the runtime happens to have.
func TestStaySlack(t *testing.T) {
	defer func(was uintptr) { timerSlack = was }(timerSlack)
	runtime.LockOSThread() // and never back: the thread ends with the test
	set := func(ns uintptr) {
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, ns, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	set(60_000)
	KeepTimerSlack()
	set(1_000_000)
	var out []byte
	err := Stay(func() (err error) {
		out, err = exec.Command("cat", "/proc/self/timerslack_ns").Output()
		return err
	})
	if got := strings.TrimSpace(string(out)); err != nil || got != "60000" {
		t.Errorf("slack %s, %v", got, err)
	}
}
