package lease

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// indexName is the directory beside the networks' own. No network can have this
// name, since names begin with a letter or digit, so the reference never sees it.
const indexName = ".bridgeport"

// index finds leases by their owner without reading every file: one symbolic link
// for each owner, named by a digest of it, whose target is the boot and the
// addresses ("3d1219c7,10.88.0.2,fd00::2"). A link is made with its content in one
// system call. It is a hint: what it says is verified, and it is made anew when the
// leases were changed by something else.
type index struct{ dir string }

func (x index) path(o Owner) string {
	sum := sha256.Sum256([]byte(o.ContainerID + "\x00" + o.IfName))
	return filepath.Join(x.dir, hex.EncodeToString(sum[:12]))
}

// temporary is where the content of a lease is written before it is linked.
func (x index) temporary() string { return filepath.Join(x.dir, ".lease") }

// tidy removes what an ADD that was killed may have left there.
func (x index) tidy() { _ = unix.Unlink(x.temporary()) }

// write puts the owner's entry in place of any other.
func (x index) write(o Owner, boot string, addrs []netip.Addr) error {
	target := boot
	for _, a := range addrs {
		target += "," + a.String()
	}
	err := os.Symlink(target, x.path(o))
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Remove(x.path(o)); err != nil {
		return err
	}
	return os.Symlink(target, x.path(o))
}

// get returns the addresses of the owner's entry and the boot they were leased in; "-"
// where that is not known, "" without an entry.
func (x index) get(o Owner) (addrs []netip.Addr, boot string) {
	target, err := os.Readlink(x.path(o))
	if err != nil {
		return nil, ""
	}
	parts := strings.Split(target, ",")
	for _, p := range parts[1:] {
		if a, err := netip.ParseAddr(p); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs, parts[0]
}

// remove removes the owner's entry. A missing one is success.
func (x index) remove(o Owner) error {
	err := os.Remove(x.path(o))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// sync makes the index anew if something else has changed the directory of leases
// since our last change, or the machine was started since: a power cut may have lost
// any part of either.
func (s *store) sync() error {
	var dir, idx unix.Stat_t
	if err := unix.Stat(s.dir, &dir); err != nil {
		return ioError("look at "+s.dir, err)
	}
	err := unix.Stat(s.index.dir, &idx)
	if boot, _ := idx.Atim.Unix(); err == nil && idx.Mtim == dir.Mtim && boot == bootMark().Unix() {
		return nil
	}
	if err := s.makeDirs(); err != nil {
		return err
	}
	return s.rebuild()
}

func (s *store) rebuild() error {
	found := make(map[Owner][]netip.Addr)
	err := s.each(func(a netip.Addr, o Owner) {
		if o != (Owner{}) {
			found[o] = append(found[o], a)
		}
	})
	if err != nil {
		return err
	}
	if err := s.index.prune(found); err != nil {
		return ioError("tidy index", err)
	}
	for o, addrs := range found {
		have, boot := s.index.get(o)
		if slices.Equal(have, addrs) {
			continue
		}
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !slices.Contains(have, a) }) {
			boot = "-" // leased by something else, nobody knows when
		}
		if err := s.index.write(o, boot, addrs); err != nil {
			return ioError("write index", err)
		}
	}
	s.stamp()
	return nil
}

// prune removes the entries of owners that have no lease any more.
func (x index) prune(found map[Owner][]netip.Addr) error {
	keep := map[string]bool{restName: true}
	for o := range found {
		keep[filepath.Base(x.path(o))] = true
	}
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if keep[e.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(x.dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// stamp gives the leases' directory and the index one modification time, as the mark of
// our last change, and the index this boot's as access time. The time is this moment's in
// nanoseconds: a change by something else in the same tick of the kernel's clock (1 to
// 10 ms, before Linux 6.13) would have the time that the directory has of itself. Everybody
// who changes leases holds the lock. Without the mark the index is made anew next time, so
// a failure is none of the verb's.
func (s *store) stamp() {
	now := time.Now()
	if os.Chtimes(s.dir, time.Time{}, now) == nil {
		_ = os.Chtimes(s.index.dir, bootMark(), now)
	}
}
