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

// store is the leases of one network. On disk it is exactly the reference's. No lease is
// synced to disk: a power cut ends every attachment along with its lease, and a lease that
// a crash of the machine left empty is reclaimed.
type store struct {
	dir   string
	index index
	lock  int // the lock file; 0 without the lock: then nothing may be changed
}

// unlocked is a network's store, to be read without the lock. It need not exist.
func unlocked(dataDir, network string) *store {
	return &store{dir: filepath.Join(dataDir, network), index: index{filepath.Join(dataDir, indexName, network)}}
}

// create opens a network's store and takes the lock. It makes the directories where they
// are missing.
func create(dataDir, network string) (*store, error) {
	s := unlocked(dataDir, network)
	if err := trusted(dataDir, s.dir); err != nil {
		return nil, err
	}
	err := s.takeLock()
	if errors.Is(err, os.ErrNotExist) {
		if err := s.makeDirs(); err != nil {
			return nil, err
		}
		err = s.takeLock()
	}
	return s, err
}

// existing runs fn on a network's store, under its lock. A network that has never had a
// lease has no store: then fn does not run.
func existing(dataDir, network string, fn func(*store) error) error {
	s := unlocked(dataDir, network)
	err := s.takeLock()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.close()
	return fn(s)
}

// takeLock wraps os.ErrNotExist where the directory is missing. The file is made as the
// reference makes it: opened for reading, mode 0750.
func (s *store) takeLock() error {
	path := filepath.Join(s.dir, lockName)
	// A plain descriptor: for a file that does not block Go would ask its poller.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o750)
	if err != nil {
		return ioError("open lock", &os.PathError{Op: "open", Path: path, Err: err})
	}
	if err := flock.Take(fd, lockTimeout); err != nil {
		_ = unix.Close(fd) // read-only, nothing to lose
		if errors.Is(err, flock.ErrTimeout) {
			return cni.Errorf(cni.CodeTryLater, "leases: %s: %w", s.dir, err)
		}
		return ioError("lock", err)
	}
	s.lock = fd
	return nil
}

// close releases the lock.
func (s *store) close() { _ = unix.Close(s.lock) } // read-only, nothing to lose

// makeDirs makes what is missing. A new index has no mark, so it is made anew before it is
// asked.
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

// each hands every lease file to fn.
func (s *store) each(fn func(a netip.Addr, o Owner)) error {
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, a := range names {
		o, exists, err := s.owner(a)
		if err != nil {
			return err
		}
		if exists {
			fn(a, o)
		}
	}
	return nil
}

// names lists the addresses that have a file, sorted.
func (s *store) names() ([]netip.Addr, error) {
	d, err := os.Open(s.dir)
	if err != nil {
		return nil, ioError("list", err)
	}
	defer d.Close()
	list, err := d.Readdirnames(-1)
	if err != nil {
		return nil, ioError("list", err)
	}
	addrs := make([]netip.Addr, 0, len(list))
	for _, name := range list {
		if a, err := netip.ParseAddr(name); err == nil {
			addrs = append(addrs, a)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs, nil
}

// last reads where round-robin stands in a range set; invalid where nothing is written.
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
