package hostlocal

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

	"github.com/bridgeport-cni/bridgeport/pkg/plainfile"
	"golang.org/x/sys/unix"
)

// indexName is the directory beside the networks' own. No network can have this
// name, since names begin with a letter or digit, so the reference never sees it.
const indexName = ".bridgeport"

// index finds leases by their owner without reading every file: one symbolic link
// for each attachment, named by a digest of it, whose target is the boot and the
// addresses ("3d1219c7,10.88.0.2,fd00::2"). A link is made with its content in one
// system call. It is a hint: what it says is verified, and it is made anew when the
// leases were changed by something else.
type index struct{ dir string }

func (x index) path(key Key) string {
	sum := sha256.Sum256([]byte(key.ContainerID + "\x00" + key.IfName))
	return filepath.Join(x.dir, hex.EncodeToString(sum[:12]))
}

func (x index) put(key Key, addrs []netip.Addr) error {
	return x.write(key, bootID(), addrs)
}

func (x index) write(key Key, boot string, addrs []netip.Addr) error {
	parts := []string{boot}
	for _, a := range addrs {
		parts = append(parts, a.String())
	}
	target := strings.Join(parts, ",")
	err := os.Symlink(target, x.path(key))
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Remove(x.path(key)); err != nil {
		return err
	}
	return os.Symlink(target, x.path(key))
}

// get is the addresses and the boot they were leased in; "-" where that is not
// known.
func (x index) get(key Key) (addrs []netip.Addr, boot string) {
	target, err := os.Readlink(x.path(key))
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

func (x index) remove(key Key) error {
	err := os.Remove(x.path(key))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// bootID tells this boot of the machine from all others, in 8 digits.
func bootID() string {
	data, err := plainfile.Read("/proc/sys/kernel/random/boot_id")
	if err != nil || len(data) < 8 {
		return "-"
	}
	return string(data[:8])
}

// sync makes the index anew if something else has changed the directory of leases
// since our last change: then their modification times differ.
func (s *Store) sync() error {
	dir, err := os.Stat(s.dir)
	if err != nil {
		return ioError("look at "+s.dir, err)
	}
	idx, err := os.Stat(s.index.dir)
	if errors.Is(err, os.ErrNotExist) {
		if err := s.makeDirs(); err != nil {
			return err
		}
	}
	if err == nil && idx.ModTime().Equal(dir.ModTime()) {
		return nil
	}
	return s.rebuild()
}

func (s *Store) rebuild() error {
	found := make(map[Key][]netip.Addr)
	err := s.each(func(a netip.Addr, key Key) error {
		if key.ContainerID != "" {
			found[key] = append(found[key], a)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.index.prune(found); err != nil {
		return ioError("tidy index", err)
	}
	for key, addrs := range found {
		have, boot := s.index.get(key)
		if containsAll(have, addrs) {
			if len(have) == len(addrs) {
				continue
			}
		} else {
			boot = "-" // leased by something else, nobody knows when
		}
		if err := s.index.write(key, boot, addrs); err != nil {
			return ioError("write index", err)
		}
	}
	return s.stamp()
}

// prune removes the entries of attachments that have no lease any more.
func (x index) prune(found map[Key][]netip.Addr) error {
	keep := make(map[string]bool, len(found))
	for key := range found {
		keep[x.path(key)] = true
	}
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(x.dir, e.Name())
		if keep[path] || e.Name() == freedName {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func containsAll(set, addrs []netip.Addr) bool {
	for _, a := range addrs {
		if !slices.Contains(set, a) {
			return false
		}
	}
	return true
}

// stamp gives the index the modification time of the leases, as the mark of our
// last change.
func (s *Store) stamp() error {
	var st unix.Stat_t
	if err := unix.Stat(s.dir, &st); err != nil {
		return ioError("look at "+s.dir, err)
	}
	mtime := time.Unix(st.Mtim.Unix())
	if err := os.Chtimes(s.index.dir, time.Time{}, mtime); err != nil {
		return ioError("mark index", err)
	}
	return nil
}
