package lease

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// planted are things at a lease's name that are no leases. precious is a file that
// must not be touched.
var planted = []struct {
	name  string
	plant func(path, precious string) error
}{
	{"symbolic link", func(path, precious string) error { return os.Symlink(precious, path) }},
	{"dangling link", func(path, precious string) error { return os.Symlink(precious+".none", path) }},
	{"link to itself", func(path, _ string) error { return os.Symlink(path, path) }},
	{"directory", func(path, _ string) error { return os.Mkdir(path, 0o755) }},
	{"fifo", func(path, _ string) error { return unix.Mkfifo(path, 0o600) }},
	{"socket", func(path, _ string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) }},
}

// TestPlanted: such a thing takes its address until the pool is full, then it goes.
// It leads nobody elsewhere and makes nobody wait.
func TestPlanted(t *testing.T) {
	for _, tt := range planted {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, small)
			precious := filepath.Join(t.TempDir(), "precious")
			if err := os.WriteFile(precious, []byte("c9\r\neth0"), 0o600); err != nil {
				t.Fatal(err)
			}
			plant := func() error {
				return errors.Join(os.MkdirAll(p.dir, 0o755), tt.plant(filepath.Join(p.dir, "10.1.0.2"), precious))
			}
			p.foreign(plant)
			p.wantDel("c9") // it is not c9's lease
			p.wantAdd("c1", "10.1.0.3")
			p.wantAdd("c2", "10.1.0.2")
			p.wantDel("c2")
			p.foreign(plant)
			if got, err := p.addWith("c2", `, "runtimeConfig": {"ips": ["10.1.0.2"]}`); err != nil || got != "10.1.0.2" {
				t.Errorf("requested: got %q, %v", got, err)
			}
			p.wantLeases("10.1.0.2=c2/eth0 10.1.0.3=c1/eth0")
			if text, err := os.ReadFile(precious); err != nil || string(text) != "c9\r\neth0" {
				t.Errorf("the link's target: got %q, %v", text, err)
			}
		})
	}
}

// TestPlantedGC: GC removes what is not a lease.
func TestPlantedGC(t *testing.T) {
	for _, tt := range planted {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, small)
			p.wantAdd("c1", "10.1.0.2")
			p.foreign(func() error { return tt.plant(filepath.Join(p.dir, "10.1.0.3"), "/nowhere") })
			err := GC(p.request("", `, "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]`))
			if err != nil {
				t.Error(err)
			}
			p.wantLeases("10.1.0.2=c1/eth0")
		})
	}
}

// TestPlantedFifoWithWriter: reading one whose other end is open would wait for
// ever, with the lock held.
func TestPlantedFifoWithWriter(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c0", "10.1.0.2")
	fifo := filepath.Join(p.dir, "10.1.0.3")
	p.foreign(func() error { return unix.Mkfifo(fifo, 0o600) })
	end, err := os.OpenFile(fifo, os.O_RDWR, 0) // never waits on Linux (fifo(7))
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	done := make(chan error, 1)
	go func() {
		_, err := p.add("c1")
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Second):
		t.Error("ADD hangs")
	}
}

// TestPlantedFull: a directory with content goes, too, when the pool is full.
func TestPlantedFull(t *testing.T) {
	p := newPool(t, small)
	p.foreign(func() error { return os.MkdirAll(filepath.Join(p.dir, "10.1.0.2", "sub"), 0o755) })
	p.wantAdd("c1", "10.1.0.3")
	p.wantAdd("c2", "10.1.0.2")
	p.wantDel("c2") // moves its lease to where the directory went
	p.wantAdd("c3", "10.1.0.2")
}

// TestPlantedLong: a file that is longer than any lease is cut, not swallowed.
func TestPlantedLong(t *testing.T) {
	p := newPool(t, small)
	p.foreign(p.write("10.1.0.2", strings.Repeat("c9\r\neth0", 1<<17)))
	p.wantAdd("c1", "10.1.0.3")
	p.wantDel("c9")
	p.wantDel("c1")
}

// TestPlantedLock: the lock's name leads nowhere, and keeps nobody waiting.
func TestPlantedLock(t *testing.T) {
	p := newPool(t, small)
	elsewhere, lock := filepath.Join(t.TempDir(), "elsewhere"), filepath.Join(p.dir, lockName)
	p.foreign(func() error { return errors.Join(os.MkdirAll(p.dir, 0o755), os.Symlink(elsewhere, lock)) })
	if _, err := p.add("c1"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a symbolic link: got %v", err)
	}
	if _, err := os.Lstat(elsewhere); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made where the link leads: %v", err)
	}
	p.foreign(func() error { return errors.Join(os.Remove(lock), unix.Mkfifo(lock, 0o600)) })
	done := make(chan struct{})
	go func() {
		_, _ = p.add("c1") // works or not
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		t.Error("a FIFO: ADD hangs")
	}
}

// TestPlantedTemporary: what a killed ADD left where the next one writes is in nobody's
// way, and a link there leads nowhere.
func TestPlantedTemporary(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c0", "10.1.0.2")
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.Symlink(precious, index2(p).temporary()); err != nil {
		t.Fatal(err)
	}
	unlocked(p.data, "net").stamp() // else the index is made anew, which removes it, too
	p.wantAdd("c1", "10.1.0.3")
	if _, err := os.Lstat(precious); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made where the link leads: %v", err)
	}
}

// TestPlantedLast: where round-robin stands is neither read from elsewhere nor written
// there.
func TestPlantedLast(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere")
	err := errors.Join(os.WriteFile(elsewhere, []byte("10.1.0.2"), 0o600), os.Symlink(elsewhere, filepath.Join(dir, lastName+"0")))
	if err != nil {
		t.Fatal(err)
	}
	s := &store{dir: dir}
	if a := s.last(0); a.IsValid() {
		t.Errorf("reads %s", a)
	}
	if err := s.setLast(0, netip.MustParseAddr("10.1.0.3")); !errors.Is(err, unix.ELOOP) {
		t.Errorf("writes: got %v", err)
	}
}
