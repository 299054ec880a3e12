package lease

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// probes is how many addresses are looked up one by one, before one list of all is cheaper.
const probes = 64

// allocate takes one address from each set, in one critical section: all or none.
func (s *store) allocate(c *Conf, o Owner) ([]Lease, error) {
	old, err := s.of(o)
	if err = cmp.Or(err, s.stale); err != nil {
		return nil, err
	}
	if len(old.addrs) > 0 {
		if !past(old.boot) {
			return nil, cni.Errorf(cni.CodeConflict, "%s has been allocated to %s, duplicate allocation is not allowed: DEL the attachment first",
				old.addrs[0], o.ContainerID)
		}
		// No namespace survives a boot. The same container gets the same addresses again.
		if err := s.drop(old.owner, old.addrs); err != nil {
			return nil, err
		}
	}
	leases, dead, err := s.choose(c, old.addrs)
	if err != nil {
		return nil, err
	}
	for _, d := range dead {
		if err := s.drop(d.owner, d.addrs); err != nil {
			return nil, err
		}
	}
	if err := s.take(leases, o); err != nil {
		return nil, err
	}
	s.stamp()
	return leases, nil
}

// take writes the leases, and the place of round-robin. On error no lease is left.
func (s *store) take(leases []Lease, o Owner) error {
	addrs := make([]netip.Addr, len(leases))
	for i, l := range leases {
		addrs[i] = l.Addr
	}
	if err := s.write(o, addrs); err != nil {
		return err
	}
	for set, a := range addrs {
		if err := s.setLast(set, a); err != nil {
			return errors.Join(err, s.drop(o, addrs))
		}
	}
	return nil
}

// choose finds an address for each set, and tries preferred first. It changes nothing: the
// caller must drop dead before the addresses are free.
func (s *store) choose(c *Conf, preferred []netip.Addr) (leases []Lease, dead []holding, err error) {
	requested := slices.Clone(c.Requested)
	for i, set := range c.Sets {
		var lease Lease
		var more []holding
		if at := slices.IndexFunc(requested, set.contains); at >= 0 {
			lease, more, err = s.chooseRequested(set, requested[at])
			requested = slices.Delete(requested, at, at+1)
		} else {
			lease, more, err = s.chooseFree(i, set, preferred)
		}
		if err != nil {
			return nil, nil, err
		}
		leases, dead = append(leases, lease), append(dead, more...)
	}
	if len(requested) > 0 {
		return nil, nil, cni.Errorf(cni.CodeConfig, "failed to allocate all requested IPs: %s: no range set is left that has them", strings.Trim(fmt.Sprint(requested), "[]"))
	}
	return leases, dead, nil
}

func (s *store) chooseRequested(set RangeSet, a netip.Addr) (Lease, []holding, error) {
	if set.isGateway(a) {
		return Lease{}, nil, cni.Errorf(cni.CodeConfig, "requested ip %s is subnet's gateway", a)
	}
	o, taken, err := s.owner(a)
	switch {
	case err != nil:
		return Lease{}, nil, err
	case !taken:
		return Lease{a, set.find(a)}, nil, nil
	case o == Owner{}:
		return Lease{a, set.find(a)}, []holding{{addrs: []netip.Addr{a}}}, nil
	}
	return Lease{}, nil, cni.Errorf(cni.CodeConflict, "requested IP address %s is not available in range set %s: container %s link %s has it",
		a, set, o.ContainerID, o.IfName)
}

func (s *store) chooseFree(i int, set RangeSet, preferred []netip.Addr) (Lease, []holding, error) {
	for _, a := range preferred {
		taken, err := s.taken(a)
		if err != nil {
			return Lease{}, nil, err
		}
		if !taken && set.Has(a) && !slices.Contains(s.used, a) {
			return Lease{a, set.find(a)}, nil, nil
		}
	}
	last := s.last(i)
	lease, err := s.firstFree(set, last)
	if err != nil || lease.Addr.IsValid() {
		return lease, nil, err
	}
	dead, total, err := s.dead(set)
	if err != nil {
		return Lease{}, nil, err
	}
	for a, r := range set.after(last) {
		if !slices.Contains(s.used, a) && slices.ContainsFunc(dead, func(d holding) bool { return slices.Contains(d.addrs, a) }) {
			return Lease{a, r}, dead, nil
		}
	}
	lost := ""
	if len(s.used) > 0 {
		lost = ", or in use by containers whose leases were lost"
	}
	return Lease{}, nil, cni.Errorf(cni.CodeExhausted,
		"no IP addresses available in range set: %s: all %d are leased%s: delete unused containers, or give the network a larger range; `bridgeport gc` removes leases of containers that are gone",
		set, total, lost)
}

// firstFree looks up addresses one by one, and after some misses in the list of all names.
// Addresses that rest are the last choice. The lease is zero where the set is full.
func (s *store) firstFree(set RangeSet, last netip.Addr) (resting Lease, err error) {
	misses := 0
	var names []netip.Addr
	for a, r := range set.after(last) {
		_, taken := slices.BinarySearchFunc(names, a, netip.Addr.Compare)
		if misses < probes {
			taken, err = s.taken(a)
		}
		taken = taken || slices.Contains(s.used, a)
		if !taken && !s.rests(a) {
			return Lease{a, r}, nil
		}
		if !taken && !resting.Addr.IsValid() {
			resting = Lease{a, r}
		}
		if misses++; err == nil && misses == probes {
			names, err = s.names()
		}
		if err != nil {
			return Lease{}, err
		}
	}
	return resting, nil
}

// dead finds leases of the set that can have no owner: those known to be from before the last
// boot, and files that are no leases. total is how many leases the set has.
func (s *store) dead(set RangeSet) (dead []holding, total int, err error) {
	list, err := s.byOwner(func(a netip.Addr, _ Owner) bool { return set.find(a) != nil })
	for o, addrs := range list {
		total += len(addrs)
		if o != (Owner{}) {
			// The owner's leases in other sets go, too, as far as they still are the owner's.
			hint, boot := s.index.get(o)
			if !past(boot) {
				continue
			}
			if addrs, err = s.held(o, hint); err != nil {
				return nil, 0, err
			}
		}
		if len(addrs) > 0 {
			dead = append(dead, holding{owner: o, addrs: addrs})
		}
	}
	return dead, total, err
}

// Next returns the leases that the next ADD of this configuration would make. It changes
// nothing and takes no lock, so another ADD may be faster. Errors are those of Add.
func Next(c *Conf, network string) ([]Lease, error) {
	leases, _, err := unlocked(c.DataDir, network).choose(c, nil)
	return leases, err
}
