package link

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"golang.org/x/sys/unix"
)

// Gateway is an address of the bridge that containers use as their next hop. It
// is shared.
type Gateway struct {
	Link   string // the bridge, or a VLAN's gateway link
	Prefix netip.Prefix
	Force  bool // replace another address of the same family instead of refusing
	// Also are the other gateway addresses of the same network.
	Also []netip.Prefix
	// InUse says whether any network of the host has an address of the subnet leased; nil
	// where that can't be known.
	InUse func(subnet netip.Prefix) (bool, error)
}

// Add puts the address on the link. On a link of ours other networks may have theirs
// beside it: one goes only where nothing is plugged in and InUse knows of no lease in its
// subnet, as a network that was given another subnet leaves it. On a link of somebody
// else, another IPv4 address or an overlapping IPv6 subnet means that it is another
// network.
func (g Gateway) Add(s *plan.Session) error {
	index, err := s.HostIndex(g.Link)
	if err != nil {
		return err
	}
	have, err := s.Host.Addresses(index)
	if err != nil {
		return fmt.Errorf("link %s: list addresses: %w", g.Link, err)
	}
	present := slices.Contains(have, g.Prefix)
	removed, err := g.makeRoom(s, index, have, present)
	if err != nil {
		return err
	}
	if present && len(removed) == 0 {
		return nil
	}
	// With the first IPv4 address of a subnet the kernel deletes the others of it
	// (promote_secondaries), this one too.
	g.queue(s, index, g.Prefix)
	if err := g.flush(s); err != nil || g.Force {
		return err
	}
	// A network that leased its first address meanwhile has seen its gateway still there.
	for _, p := range removed {
		used, err := g.InUse(p.Masked())
		if err != nil {
			return err
		}
		if used {
			g.queue(s, index, p)
		}
	}
	return g.flush(s)
}

func (g Gateway) queue(s *plan.Session, index int, p netip.Prefix) {
	s.Host.Queue(addrRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, index, p, g.flags()),
		"link %s: add address %s", g.Link, p)
}

// flush: another ADD may have been faster, with the new address and with the old ones.
func (g Gateway) flush(s *plan.Session) error {
	if err := s.Host.Flush(); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return err
	}
	return nil
}

// makeRoom queues the deletion of addresses that give way to this one, or refuses.
func (g Gateway) makeRoom(s *plan.Session, index int, have []netip.Prefix, present bool) (removed []netip.Prefix, err error) {
	for _, other := range have {
		if !g.stranger(other) {
			continue
		}
		if !g.Force || !g.clashes(other) {
			stays, err := g.beside(s, index, other, present)
			if err != nil {
				return nil, err
			}
			if stays {
				continue
			}
		}
		removed = append(removed, other)
		s.Host.Queue(addrRequest(unix.RTM_DELADDR, 0, index, other, 0), "link %s: delete address %s", g.Link, other)
	}
	return removed, nil
}

// beside says whether the other address stays.
func (g Gateway) beside(s *plan.Session, index int, other netip.Prefix, present bool) (bool, error) {
	link, err := s.Host.LinkByIndex(index)
	if err != nil {
		return false, fmt.Errorf("link %s: %w", g.Link, err)
	}
	if !ours(link) && (present || !g.clashes(other)) {
		return true, nil // somebody gave it both
	}
	if !ours(link) {
		return false, fmt.Errorf("link %s: has address %s, but the gateway is to be %s: use another bridge, delete that address, or set \"forceAddress\": true: %w",
			g.Link, other, g.Prefix, plan.ErrConflict)
	}
	if g.Force || link.Kind != "bridge" || g.InUse == nil {
		return true, nil
	}
	links, err := s.Host.Links()
	if err != nil {
		return false, fmt.Errorf("list links: %w", err)
	}
	if hasPorts(links, link) {
		return true, nil
	}
	return g.InUse(other.Masked())
}

// flags: an IPv6 gateway must answer at once, so the kernel does not look for
// duplicates first, which takes 1-2 seconds (RFC 4862, section 5.4).
func (g Gateway) flags() uint8 {
	if g.Prefix.Addr().Is4() {
		return 0
	}
	return unix.IFA_F_NODAD
}

// stranger says whether the other address is not of this network: of the same
// family, and none that the kernel made by itself.
func (g Gateway) stranger(other netip.Prefix) bool {
	return other != g.Prefix && other.Addr().Is4() == g.Prefix.Addr().Is4() &&
		!slices.Contains(g.Also, other) && !other.Addr().IsLinkLocalUnicast()
}

// clashes says whether two addresses can't be on a link that is not ours. An IPv6
// link has many.
func (g Gateway) clashes(other netip.Prefix) bool {
	return other.Addr().Is4() || other.Overlaps(g.Prefix)
}

// DropGateways deletes the addresses of a link of ours that drop says are not needed
// any more. Where the link is not ours, or gone, it does nothing.
func DropGateways(s *plan.Session, name string, drop func(netip.Prefix) (bool, error)) error {
	link, err := s.Host.Link(name)
	if errors.Is(err, netlink.ErrNoLink) || err == nil && !ours(link) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	have, err := s.Host.Addresses(link.Index)
	if err != nil {
		return fmt.Errorf("link %s: list addresses: %w", name, err)
	}
	for _, p := range have {
		yes, err := drop(p)
		if err != nil {
			return err
		}
		if yes {
			s.Host.Queue(addrRequest(unix.RTM_DELADDR, 0, link.Index, p, 0), "link %s: delete address %s", name, p)
		}
	}
	if err := s.Host.Flush(); !errors.Is(err, unix.EADDRNOTAVAIL) { // another DEL was faster
		return err
	}
	return nil
}

// Check looks for the address.
func (g Gateway) Check(s *plan.Session) error {
	index, err := s.HostIndex(g.Link)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil // the link's own object says it
	}
	if err != nil {
		return err
	}
	have, err := s.Host.Addresses(index)
	if err != nil {
		return fmt.Errorf("link %s: list addresses: %w", g.Link, err)
	}
	d := plan.Compare(plan.GatewayKind, "link "+g.Link)
	if !slices.Contains(have, g.Prefix) {
		d.Missing("gateway address", g.Prefix.String())
	}
	return d.Err()
}

func (g Gateway) String() string {
	return fmt.Sprintf("ip address add %s dev %s", g.Prefix, g.Link)
}
