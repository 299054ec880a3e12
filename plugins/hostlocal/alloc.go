package hostlocal

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// Lease is one address for an attachment.
type Lease struct {
	Addr    netip.Addr
	Subnet  netip.Prefix
	Gateway netip.Addr
	set     int
}

// probes is how many taken addresses in a row are looked up one by one; after
// them, listing the directory once is cheaper.
const probes = 64

// allocate takes one address from each set, in one critical section: all or none.
func (s *Store) allocate(c *Conf, key Key) ([]Lease, error) {
	old, err := s.of(key)
	if err != nil {
		return nil, err
	}
	if len(old.addrs) > 0 {
		if !past(old.boot) {
			return nil, cni.Errorf(cni.CodeConflict, "%s has been allocated to %s, duplicate allocation is not allowed: DEL the attachment first",
				old.addrs[0], key.ContainerID)
		}
		// From before the last boot: no namespace survives that. The same
		// container gets the same addresses again.
		if err := s.drop(old.key, old.addrs); err != nil {
			return nil, err
		}
	}
	leases, err := s.choose(c, old.addrs)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, len(leases))
	for i, l := range leases {
		addrs[i] = l.Addr
	}
	if err := s.lease(key, addrs); err != nil {
		return nil, err
	}
	for _, l := range leases {
		if err := s.setLast(l.set, l.Addr); err != nil {
			return nil, errors.Join(err, s.drop(key, addrs))
		}
	}
	s.stamp()
	return leases, nil
}

// choose decides without changing anything.
func (s *Store) choose(c *Conf, preferred []netip.Addr) ([]Lease, error) {
	requested := slices.Clone(c.Requested)
	var leases []Lease
	for i, set := range c.Sets {
		at := slices.IndexFunc(requested, func(a netip.Addr) bool { return set.inSubnet(a) })
		var lease Lease
		var err error
		if at >= 0 {
			lease, err = s.chooseRequested(set, requested[at])
			requested = slices.Delete(requested, at, at+1)
		} else {
			lease, err = s.chooseFree(i, set, preferred)
		}
		if err != nil {
			return nil, err
		}
		lease.set = i
		leases = append(leases, lease)
	}
	if len(requested) > 0 {
		texts := make([]string, len(requested))
		for i, a := range requested {
			texts[i] = a.String()
		}
		return nil, cni.Errorf(cni.CodeConfig, "failed to allocate all requested IPs: %s: no range set is left that has them", strings.Join(texts, " "))
	}
	return leases, nil
}

func (s RangeSet) inSubnet(a netip.Addr) bool {
	return slices.ContainsFunc(s, func(r Range) bool { return r.Subnet.Contains(a) })
}

func (s *Store) chooseRequested(set RangeSet, a netip.Addr) (Lease, error) {
	r := set.find(a)
	if r == nil {
		return Lease{}, cni.Errorf(cni.CodeConfig, "failed to allocate all requested IPs: %s: not in the range set %s", a, set)
	}
	if set.isGateway(a) {
		return Lease{}, cni.Errorf(cni.CodeConfig, "requested ip %s is subnet's gateway", a)
	}
	key, taken, err := s.holder(a)
	if err != nil {
		return Lease{}, err
	}
	if taken && key.ContainerID != "" {
		return Lease{}, cni.Errorf(cni.CodeConflict, "requested IP address %s is not available in range set %s: container %s link %s has it",
			a, set, key.ContainerID, key.IfName)
	}
	if taken {
		if err := s.reclaim(a); err != nil {
			return Lease{}, err
		}
	}
	return Lease{Addr: a, Subnet: r.Subnet, Gateway: r.Gateway}, nil
}

func (s *Store) chooseFree(i int, set RangeSet, preferred []netip.Addr) (Lease, error) {
	for _, a := range preferred {
		taken, err := s.taken(a)
		if err != nil {
			return Lease{}, err
		}
		if r := set.find(a); r != nil && !taken && !set.isGateway(a) {
			return Lease{Addr: a, Subnet: r.Subnet, Gateway: r.Gateway}, nil
		}
	}
	lease, err := s.firstFree(set, s.last(i))
	if err == nil || !errors.Is(err, errFull) {
		return lease, err
	}
	dead, total, rerr := s.reclaimDead(set)
	if rerr != nil {
		return Lease{}, rerr
	}
	if dead > 0 {
		return s.firstFree(set, s.last(i))
	}
	return Lease{}, cni.Errorf(cni.CodeExhausted,
		"no IP addresses available in range set: %s: all %d are leased: delete unused containers, or give the network a larger range; `bridgeport gc` removes leases of containers that are gone",
		set, total)
}

var errFull = errors.New("range set is full")

// firstFree looks at addresses one by one, and after some misses at the list of
// all names. Addresses that were released just now are the last choice.
func (s *Store) firstFree(set RangeSet, last netip.Addr) (Lease, error) {
	misses := 0
	var names map[netip.Addr]bool
	var rested Lease
	for a, r := range set.after(last) {
		taken := names[a]
		if names == nil {
			var err error
			if taken, err = s.taken(a); err != nil {
				return Lease{}, err
			}
		}
		lease := Lease{Addr: a, Subnet: r.Subnet, Gateway: r.Gateway}
		if !taken && !s.resting(a) {
			return lease, nil
		}
		if !taken && !rested.Addr.IsValid() {
			rested = lease
		}
		if misses++; misses == probes {
			var err error
			if names, err = s.nameSet(); err != nil {
				return Lease{}, err
			}
		}
	}
	if rested.Addr.IsValid() {
		return rested, nil
	}
	return Lease{}, errFull
}

// nameSet is names as a set.
func (s *Store) nameSet() (map[netip.Addr]bool, error) {
	list, err := s.names()
	set := make(map[netip.Addr]bool, len(list))
	for _, n := range list {
		set[n] = true
	}
	return set, err
}

// reclaimDead removes the leases of the set that can have no owner. It is for a full
// pool only.
func (s *Store) reclaimDead(set RangeSet) (n, total int, err error) {
	dead, total, err := s.dead(set)
	if err != nil || len(dead) == 0 {
		return 0, total, err
	}
	for _, d := range dead {
		if err := s.drop(d.key, d.addrs); err != nil {
			return 0, total, err
		}
	}
	s.stamp()
	return len(dead), total, nil
}

// dead finds leases of the set that can have no owner: from before the last boot, or
// files that are no leases. It never guesses: a lease whose boot is not known counts
// as alive.
func (s *Store) dead(set RangeSet) (dead []owned, total int, err error) {
	if err := s.sync(); err != nil {
		return nil, 0, err
	}
	err = s.each(func(a netip.Addr, key Key) error {
		if set.find(a) == nil {
			return nil
		}
		total++
		if key.ContainerID == "" {
			dead = append(dead, owned{addrs: []netip.Addr{a}})
			return nil
		}
		hint, boot := s.index.get(key)
		if !past(boot) || !slices.Contains(hint, a) {
			return nil
		}
		// Of the others some may have been given back, and be somebody's by now.
		addrs, err := s.held(key, hint)
		dead = append(dead, owned{key: key, addrs: addrs})
		return err
	})
	return dead, total, err
}

// reclaim removes a file that is not a lease. The lock is ours, so nobody is about
// to fill it.
func (s *Store) reclaim(a netip.Addr) error {
	return s.drop(Key{}, []netip.Addr{a})
}

// release gives back all leases of an attachment.
func (s *Store) release(key Key) error {
	s.index.tidy()
	o, err := s.of(key)
	if err != nil {
		return err
	}
	if len(o.addrs) == 0 {
		return s.index.remove(key) // left by a crash between the two
	}
	err = s.drop(o.key, o.addrs)
	s.stamp()
	return err
}
