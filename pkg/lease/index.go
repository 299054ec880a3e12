package lease

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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

// indexName is a directory beside those of the networks. No network can have this name,
// since names begin with a letter or digit, so the reference never looks into it.
const indexName = ".bridgeport"

// index finds leases by their owner without reading every file. It has one symbolic link
// for each owner, named by a digest of the owner. The link's target is the boot and the
// addresses ("3d1219c7,10.88.0.2,fd00::2"): one system call makes a link with its content.
// The index is a hint, which readers compare with the files. sync makes it anew after
// something else has changed the leases.
type index struct{ dir string }

func (x index) path(o Owner) string {
	sum := sha256.Sum256([]byte(o.ContainerID + "\x00" + o.IfName))
	return filepath.Join(x.dir, hex.EncodeToString(sum[:12]))
}

// temporary is where the content of a lease is written before it is linked.
func (x index) temporary() string { return filepath.Join(x.dir, ".lease") }

// tidy removes the temporary file that a killed ADD may have left.
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

// get returns the addresses of the owner's entry and the boot that they were leased in,
// or first seen in. boot is "-" where it is not known, "" without an entry.
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

// errUnlocked says that the index is out of date, and that nothing may be changed.
var errUnlocked = errors.New("leases: index: out of date, and the lock is not held")

// sync makes the index anew if something else has changed the directory of leases since
// our last change, or if the machine was started since then: a power cut may have lost any part.
// An ADD that can ask who lives does so too where no verb has asked since. Without the lock that
// is an error.
func (s *store) sync() error {
	var dir, idx unix.Stat_t
	if err := unix.Stat(s.dir, &dir); err != nil {
		return ioError("look at "+s.dir, err)
	}
	err := unix.Stat(s.index.dir, &idx)
	mark, _ := idx.Atim.Unix()
	s.asked = mark&askedBit != 0
	if err == nil && idx.Mtim == dir.Mtim && mark&^askedBit == bootMark() && (s.asked || s.living == nil) {
		return nil
	}
	if s.lock == 0 {
		return errUnlocked
	}
	if s.stale = s.makeDirs(); s.stale == nil {
		s.stale = s.rebuild()
	}
	return s.stale
}

func (s *store) rebuild() error {
	found, err := s.byOwner(func(_ netip.Addr, o Owner) bool { return o != Owner{} })
	s.asked = false
	if err == nil && s.living != nil {
		s.asked, err = s.restore(found)
	}
	if err != nil {
		return err
	}
	if err := s.index.prune(found); err != nil {
		return ioError("tidy index", err)
	}
	for o, addrs := range found {
		have, boot := s.index.get(o)
		unknown := boot == "-" || slices.ContainsFunc(addrs, func(a netip.Addr) bool {
			return !slices.Contains(have, a) || changed(s.path(a)).After(changed(s.index.path(o)))
		})
		if !unknown && slices.Equal(have, addrs) {
			continue
		}
		if unknown {
			boot = bootID() // nobody knows when something else leased it, but by the next boot it is dead
		}
		if err := s.index.write(o, boot, addrs); err != nil {
			return ioError("write index", err)
		}
	}
	s.stamp()
	return nil
}

// restore leases what living attachments use without a lease, and adds that to found: somebody has
// removed files. An address whose lease can't be written, for want of room or of the owner's names,
// is not handed out by this ADD, and all is false: the next ADD asks again.
func (s *store) restore(found map[Owner][]netip.Addr) (all bool, err error) {
	list, err := s.living()
	all = true
	for _, l := range list {
		for _, a := range l.Addrs {
			if exists, err := s.taken(a); exists || err != nil {
				continue
			}
			s.used = append(s.used, a)
			if l.Owner == (Owner{}) || s.write(l.Owner, []netip.Addr{a}) != nil {
				all = false
				continue
			}
			found[l.Owner] = append(found[l.Owner], a)
		}
	}
	return all, err
}

// prune removes the entries of owners without a lease.
func (x index) prune(found map[Owner][]netip.Addr) error {
	keep := map[string]bool{restName: true}
	for o := range found {
		keep[filepath.Base(x.path(o))] = true
	}
	entries, err := os.ReadDir(x.dir)
	for _, e := range entries {
		if err == nil && !keep[e.Name()] {
			err = remove(filepath.Join(x.dir, e.Name()))
		}
	}
	return err
}

// stamp marks our last change, this boot, and whether an ADD has asked who lives. The leases'
// directory and the index get one modification time, and the index gets bootMark, with askedBit, as
// access time. The modification time is in nanoseconds, since the kernel's clock has ticks of 1 to
// 10 ms before Linux 6.13, and something else may change the directory within a tick. The caller
// holds the lock. A failure is no error of the verb: without the mark the next verb makes the index
// anew.
func (s *store) stamp() {
	now := time.Now()
	mark := bootMark()
	if s.asked {
		mark |= askedBit
	}
	if s.stale == nil && os.Chtimes(s.dir, time.Time{}, now) == nil {
		_ = os.Chtimes(s.index.dir, time.Unix(mark, 0), now)
	}
}

// bootID is 8 digits that differ from boot to boot; "-" where the kernel's can't be read.
var bootID = sync.OnceValue(func() string {
	data, err := file.Read("/proc/sys/kernel/random/boot_id")
	if err != nil || len(data) < 8 {
		return "-"
	}
	return string(data[:8])
})

// past says whether a boot is over. None is where that boot or this one is not known.
func past(boot string) bool {
	now := bootID()
	return boot != "" && boot != "-" && now != "-" && boot != now
}

// bootMark is the boot's ID as the index's access time: 7 of its digits, as seconds below 2^28. An
// access time costs no system call, since the verbs read and set the modification time anyway. A file
// would cost an ADD six.
func bootMark() int64 {
	n, _ := strconv.ParseUint(bootID()[1:], 16, 32) // 0 where the ID is not known
	return int64(n)
}

// askedBit is set in the index's access time once every living attachment is known to have its
// leases. A verb other than ADD can't ask, so what it makes anew lacks the bit. The access time stays
// below 2^31, which every file system can hold.
const askedBit = 1 << 28

// rest is how long a released address rests while others are free: clients and caches
// may still take its next owner for the last one.
const rest = 30 * time.Second

// restName is the index's directory of released leases. Their rest begins with the move (ctime).
const restName = "freed"

func (x index) resting(a netip.Addr) string { return filepath.Join(x.dir, restName, a.String()) }

// free gives an address back. A missing file is success. A move costs as much as a removal.
func (s *store) free(a netip.Addr) error {
	if os.Rename(s.path(a), s.index.resting(a)) != nil {
		// The file is gone, or it is a directory that somebody planted, or the disk is full.
		return ioError("remove lease", remove(s.path(a)))
	}
	if raw := a.AsSlice(); raw[len(raw)-1]%forgetEvery == 0 {
		s.forget()
	}
	return nil
}

// remove removes a file. A missing file is success.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// forgetEvery is how many released addresses may gather before those that have
// rested are forgotten. An IPv6 pool never comes back to them by itself.
const forgetEvery = 64

// forget removes the files of addresses that have rested. What can't be removed stays.
func (s *store) forget() {
	entries, err := os.ReadDir(filepath.Join(s.index.dir, restName))
	if err != nil {
		return
	}
	for _, e := range entries {
		if a, err := netip.ParseAddr(e.Name()); err != nil || !s.rests(a) {
			_ = os.Remove(filepath.Join(s.index.dir, restName, e.Name()))
		}
	}
}

// rests says whether the address was released less than rest ago. Setting the clock back ends it.
func (s *store) rests(a netip.Addr) bool {
	var st unix.Stat_t
	if unix.Lstat(s.index.resting(a), &st) != nil {
		return false
	}
	age := time.Since(time.Unix(st.Ctim.Unix()))
	return age >= 0 && age < rest
}

// DropIndex removes our index beside the networks' leases, and returns its path, "" without one. The
// next verb makes it anew. With dry it only returns the path.
func DropIndex(dataDir string, dry bool) (path string, err error) {
	path = filepath.Join(dataDir, indexName)
	if _, err := os.Lstat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", nil
		}
		return "", fmt.Errorf("leases: index: %w", err)
	}
	if dry {
		return path, nil
	}
	return path, os.RemoveAll(path)
}
