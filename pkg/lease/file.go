package lease

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/shell"
	"golang.org/x/sys/unix"
)

// File is one lease as it is on disk, for people to look at.
type File struct {
	Addr  netip.Addr
	Owner Owner     // zero for an empty or strange file
	Time  time.Time // when the address was leased, by the host's clock
}

// Networks lists the networks that have leases in dataDir. A missing dataDir has none.
func Networks(dataDir string) (list []string, err error) {
	entries, err := os.ReadDir(dataDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, ioError("list networks", err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") { // the index is no network
			list = append(list, e.Name())
		}
	}
	return list, nil
}

// Files lists the leases of a network. It takes no lock: what changes meanwhile may be missing.
func Files(dataDir, network string) (list []File, err error) {
	s := unlocked(dataDir, network)
	addrs, err := s.names()
	for _, a := range addrs {
		o, exists, err := s.owner(a)
		if err != nil || !exists {
			continue // released meanwhile, or not for us to read
		}
		list = append(list, File{Addr: a, Owner: o, Time: changed(s.path(a))})
	}
	return list, err
}

// FileOf is the lease of an address; an error with os.ErrNotExist where nobody has it.
func FileOf(dataDir, network string, a netip.Addr) (File, error) {
	s := unlocked(dataDir, network)
	o, exists, err := s.owner(a)
	if err == nil && !exists {
		err = &os.PathError{Op: "open", Path: s.path(a), Err: os.ErrNotExist}
	}
	return File{Addr: a, Owner: o, Time: changed(s.path(a))}, err
}

// changed is when a file was written, as a lease is once; zero without the file.
func changed(path string) time.Time {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return time.Time{}
	}
	return time.Unix(st.Mtim.Unix())
}

// Path is the file of a lease.
func Path(dataDir, network string, a netip.Addr) string { return unlocked(dataDir, network).path(a) }

// Command is a shell command that writes a lease, for people to read.
func Command(dataDir, network string, o Owner, a netip.Addr) string {
	path := Path(dataDir, network, a)
	return fmt.Sprintf("mkdir -p %s && printf '%%s\\r\\n%%s' %s %s >%s", shell.Quote(filepath.Dir(path)), shell.Quote(o.ContainerID), shell.Quote(o.IfName), shell.Quote(path))
}

// Reclaim gives back one lease, under the lock. done is false if the file has changed since
// it was seen: it is gone, or has another owner or time.
func Reclaim(dataDir, network string, seen File) (done bool, err error) {
	err = existing(dataDir, network, func(s *store) error {
		_ = s.sync() // the file is all that counts
		o, exists, err := s.owner(seen.Addr)
		if err != nil || !exists || o != seen.Owner || !changed(s.path(seen.Addr)).Equal(seen.Time) {
			return err
		}
		done = true
		if hint, _ := s.index.get(o); len(hint) > 1 {
			err = s.free(seen.Addr) // the index still lists the owner's other addresses
		} else {
			err = s.drop(o, []netip.Addr{seen.Addr})
		}
		s.stamp()
		return err
	})
	return done, err
}

// Restore leases an address again to an attachment that uses it without a lease.
// The error has CodeConflict if somebody else has the lease.
func Restore(dataDir, network string, o Owner, a netip.Addr) error {
	s, err := create(dataDir, network)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.sync(); err != nil {
		return err
	}
	have, exists, err := s.owner(a)
	switch {
	case err != nil || exists && have == o:
		return err
	case exists && have != Owner{}:
		return cni.Errorf(cni.CodeConflict, "leases: %s is leased to container %s link %s: replace one of the two", a, have.ContainerID, have.IfName)
	case exists: // no lease
		if err := s.free(a); err != nil {
			return err
		}
	}
	others, _ := s.index.get(o)
	if err := s.write(o, []netip.Addr{a}); err != nil {
		return err
	}
	defer s.stamp()
	return ioError("write index", s.index.write(o, bootID(), append(others, a)))
}
