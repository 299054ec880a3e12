package hostlocal

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"golang.org/x/sys/unix"
)

// DefaultDataDir is where leases are when a configuration names no dataDir.
const DefaultDataDir = defaultDataDir

// File is one lease as it is on disk, for people to look at.
type File struct {
	Addr netip.Addr
	Key  Key       // zero for an empty or strange file
	Time time.Time // when the address was leased, by the host's clock
	Boot string    // 8 digits of the boot it was leased in; "" or "-" where not known
}

// Files lists the leases of a network without taking the lock or changing anything:
// what is leased or released meanwhile may be missing. A network without leases has
// none.
func Files(dataDir, network string) ([]File, error) {
	s := &Store{dir: filepath.Join(dataDir, network), index: index{dir: filepath.Join(dataDir, indexName, network)}}
	addrs, err := s.names()
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []File
	for _, a := range addrs {
		key, exists, err := s.holder(a)
		if err != nil || !exists {
			continue // released meanwhile, or not for us to read
		}
		f := File{Addr: a, Key: key}
		var st unix.Stat_t
		if unix.Lstat(s.path(a), &st) == nil {
			f.Time = time.Unix(st.Mtim.Unix())
		}
		_, f.Boot = s.index.get(key)
		list = append(list, f)
	}
	return list, nil
}

// Reclaim gives back one lease, under the lock, and only if the file is still the one
// that was seen: same holder, same time. false means that it has changed or gone.
func Reclaim(dataDir, network string, seen File) (bool, error) {
	s, err := open(dataDir, network, false)
	if errors.Is(err, errNoStore) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer s.Close()
	if err := s.sync(); err != nil {
		return false, err
	}
	key, exists, err := s.holder(seen.Addr)
	if err != nil || !exists || key != seen.Key {
		return false, err
	}
	var st unix.Stat_t
	if err := unix.Lstat(s.path(seen.Addr), &st); err != nil || !time.Unix(st.Mtim.Unix()).Equal(seen.Time) {
		return false, nil
	}
	err = s.dropOne(key, seen.Addr)
	s.stamp()
	return true, err
}

// dropOne is drop for one lease of an owner who may have others, which the index goes on
// to know.
func (s *Store) dropOne(key Key, a netip.Addr) error {
	if hint, _ := s.index.get(key); len(hint) < 2 {
		return s.drop(key, []netip.Addr{a})
	}
	if err := s.free(a); err != nil {
		return ioError("remove lease", err)
	}
	return nil
}

// BootID is what File.Boot is in this boot.
func BootID() string { return bootID() }

// Next are the addresses that the next ADD of this configuration would lease, with
// nothing changed and no lock taken: another ADD may be faster. A full set is an error
// with CodeExhausted, even where ADD would reclaim what a reboot has left.
func Next(c *Conf, network string) ([]Lease, error) {
	s := &Store{dir: filepath.Join(c.DataDir, network), index: index{dir: filepath.Join(c.DataDir, indexName, network)}}
	requested := slices.Clone(c.Requested)
	var leases []Lease
	for i, set := range c.Sets {
		lease, err := s.nextOf(i, set, &requested)
		if err != nil {
			return nil, err
		}
		leases = append(leases, lease)
	}
	return leases, nil
}

func (s *Store) nextOf(i int, set RangeSet, requested *[]netip.Addr) (Lease, error) {
	at := slices.IndexFunc(*requested, func(a netip.Addr) bool { return set.inSubnet(a) })
	if at < 0 {
		lease, err := s.firstFree(set, s.last(i))
		if errors.Is(err, errFull) {
			return lease, cni.Errorf(cni.CodeExhausted, "no IP addresses available in range set: %s: `bridgeport ls` tells who has them, `bridgeport gc` removes what is dead", set)
		}
		return lease, err
	}
	a := (*requested)[at]
	*requested = slices.Delete(*requested, at, at+1)
	r := set.find(a)
	if r == nil || set.isGateway(a) {
		return Lease{}, cni.Errorf(cni.CodeConfig, "failed to allocate all requested IPs: %s: not to be had from the range set %s", a, set)
	}
	if key, taken, err := s.holder(a); err != nil || taken && key.ContainerID != "" {
		return Lease{}, errors.Join(err, cni.Errorf(cni.CodeConflict, "requested IP address %s is not available: container %s link %s has it", a, key.ContainerID, key.IfName))
	}
	return Lease{Addr: a, Subnet: r.Subnet, Gateway: r.Gateway}, nil
}

// Room is how many addresses a set may hand out, and Has which of them are its own.
func (s RangeSet) Room() float64 {
	n := 0.0
	for _, r := range s {
		n += count(r.Start, r.End)
		if r.contains(r.Gateway) {
			n--
		}
	}
	return n
}

// Has says whether the address is one that the set may hand out.
func (s RangeSet) Has(a netip.Addr) bool { return s.find(a) != nil && !s.isGateway(a) }

// count is the number of addresses from a to b, as exact as a float is.
func count(a, b netip.Addr) float64 {
	n := 0.0
	x, y := a.As16(), b.As16()
	for i := range x {
		n = n*256 + float64(y[i]) - float64(x[i])
	}
	return n + 1
}

// Restore leases an address again to an attachment that uses it, but has lost its
// lease. CodeConflict if somebody else has it.
func Restore(dataDir, network string, key Key, a netip.Addr) error {
	s, err := open(dataDir, network, true)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.sync(); err != nil {
		return err
	}
	have, exists, err := s.holder(a)
	switch {
	case err != nil || exists && have == key:
		return err
	case exists && have.ContainerID != "":
		return cni.Errorf(cni.CodeConflict, "leases: %s is leased to container %s link %s: replace one of the two", a, have.ContainerID, have.IfName)
	case exists:
		if err := s.reclaim(a); err != nil {
			return err
		}
	}
	held, _ := s.index.get(key)
	if err := s.lease(key, []netip.Addr{a}); err != nil {
		return err
	}
	if err := s.index.put(key, append(held, a)); err != nil {
		return ioError("write index", err)
	}
	s.stamp()
	return nil
}

// Wire is the configuration as JSON has it, for tools that need to know its keys.
func Wire() any { return wire{} }
