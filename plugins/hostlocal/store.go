package hostlocal

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
	// maxLease is more than any lease holds: a container ID and a link's name. A
	// larger file is not a lease.
	maxLease = 4096
	lockName = "lock"
	lastName = "last_reserved_ip."
)

// Key is whom a lease is for.
type Key struct{ ContainerID, IfName string }

// Store is the leases of one network, under its lock. On disk it is exactly the
// reference's: <dataDir>/<network>/<address> holds "<container>\r\n<link>". No
// lease is synced to disk: a power cut ends every attachment along with its lease,
// and a lease that a crash of the machine left empty is reclaimed.
type Store struct {
	dir   string
	index index
	lock  *os.File
}

// errNoStore says that the network has never had a lease.
var errNoStore = errors.New("no leases")

// open takes the lock. Without create a missing directory is errNoStore.
func open(dataDir, network string, create bool) (*Store, error) {
	dir := filepath.Join(dataDir, network)
	s := &Store{dir: dir, index: index{dir: filepath.Join(dataDir, indexName, network)}}
	if create { // the others write nothing, and DEL must not refuse
		if err := trusted(dataDir, dir); err != nil {
			return nil, err
		}
	}
	f, err := s.openLock()
	if errors.Is(err, os.ErrNotExist) {
		if !create {
			return nil, errNoStore
		}
		if err := s.makeDirs(); err != nil {
			return nil, err
		}
		f, err = s.openLock()
	}
	if err != nil {
		return nil, ioError("open lock", err)
	}
	if err := flock.Take(f, lockTimeout); err != nil {
		_ = f.Close() // read-only, nothing to lose
		if errors.Is(err, flock.ErrTimeout) {
			return nil, cni.Errorf(cni.CodeTryLater, "leases: %s: %w", dir, err)
		}
		return nil, ioError("lock", err)
	}
	s.lock = f
	return s, nil
}

// openLock creates the file as the reference does: opened for reading, mode 0750.
func (s *Store) openLock() (*os.File, error) {
	return file.Open(filepath.Join(s.dir, lockName), unix.O_RDONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o750)
}

func (s *Store) makeDirs() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return ioError("make directory", err)
	}
	if err := os.MkdirAll(filepath.Join(s.index.dir, freedName), 0o700); err != nil {
		return ioError("make directory", err)
	}
	return nil // a new index has no mark, so it is made anew before it is asked
}

func ioError(action string, err error) error {
	return cni.Errorf(cni.CodeIO, "leases: %s: %w", action, err)
}

// Close releases the lock.
func (s *Store) Close() error { return s.lock.Close() }

func (s *Store) path(a netip.Addr) string { return filepath.Join(s.dir, a.String()) }

// holder reads who has the address. exists is true for any file of the name; an
// empty or strange one has the zero Key.
func (s *Store) holder(a netip.Addr) (key Key, exists bool, err error) {
	// O_NOFOLLOW and O_NONBLOCK: what was planted there must not lead us elsewhere
	// or make us wait.
	fd, err := unix.Open(s.path(a), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENOENT) {
		return Key{}, false, nil
	}
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) { // a symbolic link, a socket
		return Key{}, true, nil
	}
	if err != nil {
		return Key{}, false, ioError("read "+s.path(a), err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Key{}, false, ioError("read "+s.path(a), err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return Key{}, true, nil
	}
	data := make([]byte, maxLease)
	n, err := unix.Read(fd, data)
	if err != nil {
		return Key{}, false, ioError("read "+s.path(a), err)
	}
	return parseLease(string(data[:n])), true, nil
}

// parseLease also reads the form from before link names were written. Zeros, as file
// systems show for content that a power cut has lost, are no owner.
func parseLease(text string) Key {
	const space = " \t\r\n\v\f" // ASCII only: a link's name may hold any other character
	id, ifName, _ := strings.Cut(strings.Trim(text, space), "\n")
	if strings.ContainsRune(id, 0) {
		return Key{}
	}
	return Key{strings.Trim(id, space), strings.Trim(ifName, space)}
}

// taken says whether a file for the address exists.
func (s *Store) taken(a netip.Addr) (bool, error) {
	var st unix.Stat_t
	err := unix.Lstat(s.path(a), &st)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, ioError("look at "+s.path(a), err)
	}
	return true, nil
}

// lease writes the leases of one attachment: index first, then each file, which
// appears with its content or not at all. On error none is left.
func (s *Store) lease(key Key, addrs []netip.Addr) error {
	tmp, err := s.temporary(key)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := s.index.put(key, addrs); err != nil {
		return ioError("write index", err)
	}
	for i, a := range addrs {
		if err := os.Link(tmp, s.path(a)); err != nil {
			return errors.Join(ioError("write lease", err), s.drop(key, addrs[:i]))
		}
		s.awake(a)
	}
	return nil
}

// temporary writes the content of a lease beside the index, on the same file
// system. There is one writer, so one name is enough.
func (s *Store) temporary(key Key) (string, error) {
	tmp := s.index.temporary()
	s.index.tidy() // O_EXCL says if it stays
	err := file.Write(tmp, unix.O_CREAT|unix.O_EXCL, 0o600, key.ContainerID+"\r\n"+key.IfName)
	if err != nil {
		s.index.tidy() // half of it, if anything
		return "", ioError("write lease", err)
	}
	return tmp, nil
}

// drop removes leases, then the index entry. Missing files are success.
func (s *Store) drop(key Key, addrs []netip.Addr) error {
	var errs []error
	for _, a := range addrs {
		if err := s.free(a); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, ioError("remove lease", err))
		}
	}
	if len(errs) == 0 {
		if err := s.index.remove(key); err != nil {
			errs = append(errs, ioError("remove index", err))
		}
	}
	return errors.Join(errs...)
}

// owned is the leases of one attachment.
type owned struct {
	key   Key // as it is written: the oldest form has no link's name
	addrs []netip.Addr
	boot  string // of the time of the lease; "-" where that is not known
}

// of finds the leases of an attachment: by the index, verified against the files.
func (s *Store) of(key Key) (owned, error) {
	if err := s.sync(); err != nil {
		return owned{}, err
	}
	for _, k := range []Key{key, {ContainerID: key.ContainerID}} {
		hint, boot := s.index.get(k)
		addrs, err := s.held(k, hint)
		if err != nil {
			return owned{}, err
		}
		if len(addrs) > 0 {
			return owned{k, addrs, boot}, nil
		}
	}
	return owned{key: key}, nil
}

// held are those of the addresses that the attachment has.
func (s *Store) held(key Key, hint []netip.Addr) (addrs []netip.Addr, err error) {
	for _, a := range hint {
		have, exists, err := s.holder(a)
		if err != nil {
			return nil, err
		}
		if exists && have == key {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

// each hands every lease file to fn.
func (s *Store) each(fn func(a netip.Addr, key Key) error) error {
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, a := range names {
		key, exists, err := s.holder(a)
		if err != nil {
			return err
		}
		if exists {
			if err := fn(a, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// names lists the addresses that have a file.
func (s *Store) names() ([]netip.Addr, error) {
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

// last reads where round-robin stands in a set; invalid where nothing is written.
func (s *Store) last(set int) netip.Addr {
	data, err := readText(filepath.Join(s.dir, fmt.Sprint(lastName, set)), unix.O_NOFOLLOW)
	if err != nil {
		return netip.Addr{} // then round-robin begins anew
	}
	a, _ := netip.ParseAddr(strings.TrimSpace(string(data))) // invalid if cut short by a crash
	return a
}

func (s *Store) setLast(set int, a netip.Addr) error {
	name := filepath.Join(s.dir, fmt.Sprint(lastName, set))
	if err := file.Overwrite(name, 0o600, a.String()); err != nil {
		return ioError("write "+filepath.Base(name), err)
	}
	return nil
}
