package lease

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// TestForeignLease: leases that the reference, an old version of it or a person
// wrote count as our own.
func TestForeignLease(t *testing.T) {
	tests := []struct{ name, text string }{
		{"the reference's", "c9\r\neth0"},
		{"from before link names", "c9"},
		{"from before link names, with newline", "c9\n"},
		{"by a person", " c9 \n eth0 \n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
			p.wantAdd("c1", "10.1.0.2")
			p.foreign(p.write("10.1.0.9", tt.text))
			if held, err := Held(p.request("c9", "")); err != nil || !slices.Equal(held, addrs("10.1.0.9")) {
				t.Errorf("held: got %v, %v", held, err)
			}
			_, err := p.add("c9")
			wantError(t, err, cni.CodeConflict, "10.1.0.9 has been allocated to c9, duplicate allocation is not allowed: DEL the attachment first")
			if _, err := p.addWith("c2", `, "runtimeConfig": {"ips": ["10.1.0.9"]}`); cni.Code(err) != cni.CodeConflict {
				t.Errorf("requested by another: got %v", err)
			}
			p.wantDel("c9")
			p.wantLeases("10.1.0.2=c1/eth0")
			p.wantDel("c1")
			p.wantLeases("")
		})
	}
}

// TestForeignRewritten: a lease of ours that was rewritten in place in the oldest form. The
// directory's time does not change by that.
func TestForeignRewritten(t *testing.T) {
	for _, change := range []string{"10.1.0.2", "fd00::2", "10.1.0.2 fd00::2"} {
		p := newPool(t, dual)
		p.wantAdd("c1", "10.1.0.2 fd00::2")
		for _, a := range strings.Fields(change) {
			if err := os.WriteFile(filepath.Join(p.dir, a), []byte("c1"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.add("c1"); cni.Code(err) != cni.CodeConflict {
			t.Errorf("%s: a second ADD: got %v, want a conflict", change, err)
		}
		p.wantDel("c1")
		p.wantLeases("")
	}
}

// TestForeignFirst: leases that were there before we made an index, and no lock
// file. Directory and index then get the same time, but not the same content.
func TestForeignFirst(t *testing.T) {
	for range 5 { // for the clock may tick in between
		p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
		p.foreign(p.write("10.1.0.9", "c9\r\neth0"))
		if _, err := p.add("c9"); cni.Code(err) != cni.CodeConflict {
			t.Fatalf("got %v, want a conflict", err)
		}
	}
}

// TestForeignUnknownBoot: nobody knows which boot such a lease is from, so it is
// not dead in the boot that first sees it.
func TestForeignUnknownBoot(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c1", "10.1.0.2")
	p.foreign(p.write("10.1.0.3", "c9\r\neth0"))
	if _, err := p.add("c2"); cni.Code(err) != cni.CodeExhausted {
		t.Errorf("got %v, want the pool to be full", err)
	}
	p.wantLeases("10.1.0.2=c1/eth0 10.1.0.3=c9/eth0")
}

// TestForeignAfterReboot: the same container, but leased anew by the reference since
// the boot: what the index knew of its old address says nothing about the new one.
func TestForeignAfterReboot(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c1", "10.1.0.2")
	p.reboot()
	p.foreign(func() error {
		return errors.Join(os.Remove(filepath.Join(p.dir, "10.1.0.2")), p.write("10.1.0.3", "c1\r\neth0")())
	})
	p.wantAdd("c2", "10.1.0.2")
	if _, err := p.add("c3"); cni.Code(err) != cni.CodeExhausted {
		t.Errorf("got %v, want the pool to be full", err)
	}
	p.wantLeases("10.1.0.2=c2/eth0 10.1.0.3=c1/eth0")
}

// TestForeignSameAfterReboot: as before, and the reference has leased the same address.
func TestForeignSameAfterReboot(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c1", "10.1.0.2")
	p.reboot()
	p.foreign(func() error {
		path, later := filepath.Join(p.dir, "10.1.0.2"), time.Now().Add(time.Second)
		return errors.Join(os.Remove(path), p.write("10.1.0.2", "c1\r\neth0")(), os.Chtimes(path, later, later))
	})
	p.wantAdd("c2", "10.1.0.3")
	if _, err := p.add("c3"); cni.Code(err) != cni.CodeExhausted {
		t.Errorf("got %v, want the pool to be full", err)
	}
	p.wantLeases("10.1.0.2=c1/eth0 10.1.0.3=c2/eth0")
}

// TestForeignRemoval: what a person removes is gone for us too.
func TestForeignRemoval(t *testing.T) {
	tests := []struct {
		name   string
		change func(p *pool) error
		leases string // before the next ADD
		next   string // what c1 gets then
	}{
		{"a lease", func(p *pool) error { return os.Remove(filepath.Join(p.dir, "10.1.0.2")) }, "10.1.0.3=c2/eth0", "10.1.0.4"},
		{"a lease and the mark of the last", func(p *pool) error {
			return errors.Join(os.Remove(filepath.Join(p.dir, "10.1.0.2")), os.Remove(filepath.Join(p.dir, lastName+"0")))
		}, "10.1.0.3=c2/eth0", "10.1.0.2"},
		{"all of the network", func(p *pool) error { return os.RemoveAll(p.dir) }, "", "10.1.0.2"},
		{"everything", func(p *pool) error { return os.RemoveAll(p.data) }, "", "10.1.0.2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
			p.wantAdd("c1", "10.1.0.2")
			p.wantAdd("c2", "10.1.0.3")
			p.foreign(func() error { return tt.change(p) })
			p.wantLeases(tt.leases)
			p.wantDel("c1")
			p.wantAdd("c1", tt.next)
			p.wantDel("c1")
			p.wantDel("c2")
			p.wantLeases("")
		})
	}
}

// TestForeignIndex: the index is only a hint.
func TestForeignIndex(t *testing.T) {
	index := func(p *pool) string { return filepath.Join(p.data, indexName) }
	entry := func(p *pool) string { return index2(p).path(Owner{"c1", "eth0"}) }
	tests := []struct {
		name   string
		change func(p *pool) error
	}{
		{"removed", func(p *pool) error { return os.RemoveAll(index(p)) }},
		{"this network's removed", func(p *pool) error { return os.RemoveAll(index2(p).dir) }},
		{"an entry removed", func(p *pool) error { return os.Remove(entry(p)) }},
		{"an entry is a file", func(p *pool) error { return errors.Join(os.Remove(entry(p)), os.WriteFile(entry(p), nil, 0o600)) }},
		{"an entry is nonsense", func(p *pool) error { return errors.Join(os.Remove(entry(p)), os.Symlink("x,y,", entry(p))) }},
		{"an entry names another's lease", func(p *pool) error {
			return errors.Join(os.Remove(entry(p)), os.Symlink(bootID()+",10.1.0.3", entry(p)))
		}},
		{"files in it", func(p *pool) error { return os.WriteFile(filepath.Join(index2(p).dir, "README"), nil, 0o600) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
			p.wantAdd("c1", "10.1.0.2")
			p.wantAdd("c2", "10.1.0.3")
			p.foreign(func() error { return tt.change(p) })
			if _, err := p.add("c1"); cni.Code(err) != cni.CodeConflict {
				t.Errorf("a second ADD: got %v, want a conflict", err)
			}
			p.wantDel("c1")
			p.wantLeases("10.1.0.3=c2/eth0")
			p.wantDel("c2")
			p.wantLeases("")
		})
	}
}

// TestForeignIndexBroken: DEL and GC read the files where the index can't be made anew. They
// do not take it for a new one. ADD and STATUS say why they can't work.
func TestForeignIndexBroken(t *testing.T) {
	index := func(p *pool) string { return filepath.Join(p.data, indexName) }
	tests := []struct {
		name   string
		broken func(p *pool) string // what stands in the way
		plant  func(path string) error
		status uint
	}{
		{"is a file", index, func(path string) error { return os.WriteFile(path, nil, 0o755) }, cni.CodeNotReady},
		{"this network's is a file", func(p *pool) string { return index2(p).dir }, func(path string) error { return os.WriteFile(path, nil, 0o755) }, cni.CodeNotReady},
		{"can't be tidied", func(p *pool) string { return filepath.Join(index2(p).dir, "sub") }, func(path string) error {
			return errors.Join(os.MkdirAll(filepath.Join(path, "sub"), 0o755), os.Chtimes(filepath.Dir(path), time.Unix(1, 0), time.Unix(1, 0)))
		}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
			p.wantAdd("c1", "10.1.0.2")
			p.wantAdd("c2", "10.1.0.3")
			for address, text := range map[string]string{"10.1.0.7": "c7\r\neth0", "10.1.0.8": "c8", "10.1.0.9": "c9\r\neth0"} {
				p.foreign(p.write(address, text))
			}
			path := tt.broken(p)
			p.foreign(func() error { return errors.Join(os.RemoveAll(path), tt.plant(path)) })
			if _, err := p.add("c3"); cni.Code(err) != cni.CodeIO {
				t.Errorf("ADD: got %v, want code %d", err, cni.CodeIO)
			}
			if err := Status(p.request("", "")); err == nil != (tt.status == 0) || err != nil && cni.Code(err) != tt.status {
				t.Errorf("STATUS: got %v, want code %d", err, tt.status)
			}
			p.wantDel("c1")
			p.wantDel("c8")
			if err := GC(p.request("", `, "cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}, {"containerID": "c9", "ifname": "eth0"}]`)); err != nil {
				t.Error(err)
			}
			p.wantLeases("10.1.0.3=c2/eth0 10.1.0.9=c9/eth0")
			if held, err := Held(p.request("c9", "")); err != nil || !slices.Equal(held, addrs("10.1.0.9")) {
				t.Errorf("held: got %v, %v", held, err)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			p.wantDel("c9")
			p.wantLeases("10.1.0.3=c2/eth0")
		})
	}
}

func index2(p *pool) index { return index{dir: filepath.Join(p.data, indexName, "net")} }

// TestForeignRelease: what the index knows of an attachment whose lease something else
// took away goes when the index is made anew; nothing else would ever remove it.
func TestForeignRelease(t *testing.T) {
	p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
	p.wantAdd("c1", "10.1.0.2")
	p.foreign(func() error { return os.Remove(filepath.Join(p.dir, "10.1.0.2")) })
	p.wantAdd("c2", "10.1.0.3")
	if _, err := os.Lstat(index2(p).path(Owner{"c1", "eth0"})); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the index still has c1: %v", err)
	}
}

// TestForeignOwner: a file that was given to another in place, which leaves the
// directory's time as it was, is not ours to remove.
func TestForeignOwner(t *testing.T) {
	p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
	p.wantAdd("c1", "10.1.0.2")
	p.foreign(p.write("10.1.0.2", "c9\r\neth0"))
	p.wantDel("c1")
	p.wantLeases("10.1.0.2=c9/eth0")
}

func TestParseLease(t *testing.T) {
	tests := []struct {
		in   string
		want Owner
	}{
		{"c1\r\neth0", Owner{"c1", "eth0"}},
		{"c1\neth0\n", Owner{"c1", "eth0"}},
		{"c1", Owner{"c1", ""}},
		{" c1\t\r\n\teth0 ", Owner{"c1", "eth0"}},
		{"", Owner{}},
		{"\r\n", Owner{}},
	}
	for _, tt := range tests {
		if got := parseOwner(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}
