package hostlocal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
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

// temporary is where the content of a lease is written before it is linked.
func (x index) temporary() string { return filepath.Join(x.dir, ".lease") }

// tidy removes what an ADD that was killed may have left there.
func (x index) tidy() { _ = unix.Unlink(x.temporary()) }

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
var bootID = sync.OnceValue(func() string {
	data, err := file.Read("/proc/sys/kernel/random/boot_id")
	if err != nil || len(data) < 8 {
		return "-"
	}
	return string(data[:8])
})

// past says whether a boot is over. It never guesses: one that is not known is not, and
// where this boot's ID can't be read none is.
func past(boot string) bool {
	now := bootID()
	return boot != "" && boot != "-" && now != "-" && boot != now
}

// sync makes the index anew if something else has changed the directory of leases
// since our last change, or the machine was started since: a power cut may have lost
// any part of either.
func (s *Store) sync() error {
	var dir, idx unix.Stat_t
	if err := unix.Stat(s.dir, &dir); err != nil {
		return ioError("look at "+s.dir, err)
	}
	err := unix.Stat(s.index.dir, &idx)
	if errors.Is(err, os.ErrNotExist) {
		if err := s.makeDirs(); err != nil {
			return err
		}
	}
	if boot, _ := idx.Atim.Unix(); err == nil && idx.Mtim == dir.Mtim && boot == bootTime().Unix() {
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
	s.stamp()
	return nil
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

// stamp gives the leases' directory and the index one modification time, as the mark of
// our last change, and the index this boot's as access time. The time is this moment's in
// nanoseconds: a change by something else in the same tick of the kernel's clock (1 to
// 10 ms, before Linux 6.13) would have the time that the directory has of itself. Everybody
// who changes leases holds the lock. Without the mark the index is made anew next time, so
// a failure is none of the verb's.
func (s *Store) stamp() {
	now := time.Now()
	if os.Chtimes(s.dir, time.Time{}, now) == nil {
		_ = os.Chtimes(s.index.dir, bootTime(), now)
	}
}

// bootTime is no time but the boot's ID in the form of one, below 2^31 seconds, which
// every file system can hold.
func bootTime() time.Time {
	n, _ := strconv.ParseUint(bootID(), 16, 32) // 0 where it can't be known
	return time.Unix(int64(n&math.MaxInt32), 0)
}
