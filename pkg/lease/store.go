package lease

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"golang.org/x/sys/unix"
)

const (
	// lockTimeout bounds the wait for other processes. Our own take well under a
	// millisecond, the reference's up to a second with 60,000 leases.
	lockTimeout = 30 * time.Second
	lockName    = "lock"
	lastName    = "last_reserved_ip."
)

// store is the leases of one network. Its files are exactly the reference's. No lease is
// synced to disk: a power cut ends every attachment together with its lease, and ADD reclaims
// a lease that a crash of the machine left empty.
type store struct {
	dir   string
	index index
	lock  int          // the lock file; 0 without the lock: then nothing may be changed
	stale error        // why the index could not be made anew; then it must get no mark
	used  []netip.Addr // addresses that must not be leased, whatever the files say
	// living lists the network's attachments that exist; nil where nobody has looked for them.
	living func() ([]Living, error)
	asked  bool // every living attachment has had its leases since something else last changed them
}

// Living is an attachment that exists, with its addresses.
type Living struct {
	Owner Owner // zero where the owner's names are not known as a whole
	Addrs []netip.Addr
}

// unlocked is a network's store without the lock. It need not exist.
func unlocked(dataDir, network string) *store {
	return &store{dir: filepath.Join(dataDir, network), index: index{filepath.Join(dataDir, indexName, network)}}
}

// create opens a network's store, makes missing directories, and takes the lock.
func create(dataDir, network string) (*store, error) {
	s := unlocked(dataDir, network)
	if err := trusted(dataDir, s.dir); err != nil {
		return nil, err
	}
	err := s.takeLock(lockTimeout)
	if errors.Is(err, os.ErrNotExist) {
		if err := s.makeDirs(); err != nil {
			return nil, err
		}
		err = s.takeLock(lockTimeout)
	}
	return s, err
}

// existing runs fn on a network's store under its lock, if there ever was a lease. Somebody may
// have removed the leases, but not the index.
func existing(dataDir, network string, fn func(*store) error) error {
	s := unlocked(dataDir, network)
	err := s.takeLock(lockTimeout)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Lstat(s.index.dir); err != nil || s.makeDirs() != nil {
			return nil // without a lease, and without room for a directory, there is nothing to do
		}
		err = s.takeLock(lockTimeout)
	}
	if err != nil {
		return err
	}
	defer s.close()
	return fn(s)
}

// takeLock returns an error with os.ErrNotExist where the directory is missing. It makes the
// lock file as the reference does: opened for reading, mode 0750.
func (s *store) takeLock(wait time.Duration) error {
	path := filepath.Join(s.dir, lockName)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o750)
	if err != nil {
		return ioError("open lock", &os.PathError{Op: "open", Path: path, Err: err})
	}
	if err := flock.Take(fd, wait); err != nil {
		_ = unix.Close(fd) // read-only, nothing to lose
		if errors.Is(err, flock.ErrTimeout) {
			return cni.Errorf(cni.CodeTryLater, "leases: %s: %w", s.dir, err)
		}
		return ioError("lock", err)
	}
	s.lock = fd
	return nil
}

func (s *store) close() { _ = unix.Close(s.lock) } // read-only, nothing to lose

// makeDirs makes missing directories. A new index has no mark, so sync makes it anew.
func (s *store) makeDirs() error {
	err := os.MkdirAll(s.dir, 0o755)
	if err == nil {
		err = os.MkdirAll(filepath.Join(s.index.dir, restName), 0o700)
	}
	return ioError("make directory", err)
}

// ioError gives err the store's code; nil stays nil.
func ioError(action string, err error) error {
	if err == nil {
		return nil
	}
	return cni.Errorf(cni.CodeIO, "leases: %s: %w", action, err)
}

func (s *store) path(a netip.Addr) string { return filepath.Join(s.dir, a.String()) }

// byOwner reads every lease file, and returns the addresses that match wants, by their owner.
func (s *store) byOwner(match func(a netip.Addr, o Owner) bool) (map[Owner][]netip.Addr, error) {
	names, err := s.names()
	found := make(map[Owner][]netip.Addr)
	for _, a := range names {
		o, exists, err := s.owner(a)
		if err != nil {
			return nil, err
		}
		if exists && match(a, o) {
			found[o] = append(found[o], a)
		}
	}
	return found, err
}

// names lists the addresses that have a file, sorted. A missing directory has none.
func (s *store) names() ([]netip.Addr, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, ioError("list", err)
	}
	addrs := make([]netip.Addr, 0, len(entries))
	for _, e := range entries {
		if a, err := netip.ParseAddr(e.Name()); err == nil {
			addrs = append(addrs, a)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs, nil
}

// last reads the last address of round-robin in a range set; invalid where there is none.
func (s *store) last(set int) netip.Addr {
	text, err := readText(s.lastPath(set), unix.O_NOFOLLOW, maxLease)
	if err != nil {
		return netip.Addr{} // then round-robin begins anew
	}
	a, _ := netip.ParseAddr(strings.TrimSpace(text)) // invalid if cut short by a crash
	return a
}

func (s *store) setLast(set int, a netip.Addr) error {
	path := s.lastPath(set)
	return ioError("write "+filepath.Base(path), file.Overwrite(path, 0o600, a.String()))
}

func (s *store) lastPath(set int) string { return filepath.Join(s.dir, fmt.Sprint(lastName, set)) }

// trusted is an error if anybody but us can put files into the directories of leases: with
// a link in there our writing could reach any file of the machine. dataDir itself may be a
// symbolic link, the network's directory below it may not. A missing directory is fine.
// DEL and GC do not call it, since they must not refuse.
func trusted(dataDir, networkDir string) error {
	for _, d := range []struct {
		path string
		stat func(string, *unix.Stat_t) error
	}{{dataDir, unix.Stat}, {networkDir, unix.Lstat}} {
		var st unix.Stat_t
		err := d.stat(d.path, &st)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return ioError("look at "+d.path, err)
		}
		if why := untrusted(&st); why != "" {
			return cni.Errorf(cni.CodeIO, "leases: %s: %s: make it root's own, with mode 0755 at most, or name another \"dataDir\"", d.path, why)
		}
	}
	return nil
}

// untrusted says why, in words; "" for a directory that only we can write to.
func untrusted(st *unix.Stat_t) string {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return "is no directory"
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Sprintf("belongs to user %d, who could plant files in it", st.Uid)
	case st.Mode&unix.S_IWOTH != 0:
		return "everybody may write to it, and plant files in it"
	case st.Mode&unix.S_IWGRP != 0 && st.Gid != 0:
		return fmt.Sprintf("group %d may write to it, and plant files in it", st.Gid)
	}
	return ""
}
