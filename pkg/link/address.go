package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Addr is an address of the container's link. It needs the Veth before it, and goes with the link.
type Addr struct {
	IfName string
	Prefix netip.Prefix // address and the length of its subnet
}

// Add queues the address. Where the link has no duplicate address detection (accept_dad 0) the
// address is usable at once, and the kernel announces the address if the link is up
// (addrconf_dad_begin, ndisc_notify). IFA_F_NODAD would suppress the announcement.
func (a Addr) Add(s *plan.Session) error {
	index, err := s.ContainerIndex(a.IfName)
	if err != nil {
		return err
	}
	s.Container.Queue(addrRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, index, a.Prefix, 0),
		"container link %s: add address %s", a.IfName, a.Prefix)
	return nil
}

// addrRequest adds or deletes an address; flags are NLM_F_*, addrFlags IFA_F_*.
func addrRequest(kind, flags, index int, p netip.Prefix, addrFlags uint8) *nl.NetlinkRequest {
	msg := nl.NewIfAddrmsg(netlink.Family(p.Addr()))
	msg.Prefixlen, msg.Index = uint8(p.Bits()), uint32(index)
	msg.IfAddrmsg.Flags = addrFlags
	raw, last := p.Addr().AsSlice(), []byte(nil)
	if p.Addr().Is4() && p.Bits() < 31 {
		last = broadcast(p)
	}
	return netlink.Request(kind, flags, msg, netlink.Bytes(unix.IFA_LOCAL, raw), netlink.Bytes(unix.IFA_ADDRESS, raw), netlink.Bytes(unix.IFA_BROADCAST, last))
}

// broadcast is the last address of an IPv4 subnet.
func broadcast(p netip.Prefix) []byte {
	b := p.Addr().As4()
	return binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(b[:])|^uint32(0)>>p.Bits())
}

// checkAddress looks for an address of a link, whose index was asked for with err. field is what
// the address is called. The link's own object reports a missing link.
func checkAddress(c *netlink.Conn, index int, err error, kind plan.Kind, link, field string, p netip.Prefix) error {
	if err != nil {
		return netlink.Ignore(err, netlink.ErrNoLink)
	}
	have, err := c.Addresses(index)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: list addresses: %w", link, err)
	}
	return plan.Compare(kind, link).MissingIf(!slices.Contains(have, p), field, p.String()).Err()
}

// Check looks for the address.
func (a Addr) Check(s *plan.Session) error {
	index, err := s.ContainerIndex(a.IfName)
	return checkAddress(s.Container, index, err, plan.AddressKind, "container link "+a.IfName, "address", a.Prefix)
}

func (a Addr) String() string {
	return inContainer(fmt.Sprintf("ip address add %s dev %s", a.Prefix, a.IfName))
}

// LinkUp brings the container's link up. The kernel then announces IPv4 addresses by gratuitous
// ARP (arp_notify). So IPv4 addresses come before LinkUp, and IPv6 addresses after it.
type LinkUp struct{ IfName string }

// Add queues the request.
func (l LinkUp) Add(s *plan.Session) error {
	s.Container.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, l.IfName, true), "container link %s: set up", l.IfName)
	return nil
}

func (l LinkUp) String() string { return inContainer("ip link set " + l.IfName + " up") }

// Gateway is an address of the bridge that containers use as their next hop. Gateway is shared,
// and needs the Bridge or the VlanGateway before it.
type Gateway struct {
	Link   string // the bridge, or a VLAN's gateway link
	Prefix netip.Prefix
	Force  bool           // replace another address of the same family instead of refusing
	Also   []netip.Prefix // the network's other gateway addresses
	// InUse says whether any network of the host leases in the subnet; nil where nobody can know.
	InUse func(subnet netip.Prefix) (bool, error)
}

// Add puts the address on the link. Another address of a link of ours goes only if nothing is
// plugged in and InUse knows of no lease in its subnet: a network that was given another subnet
// leaves one. A stranger's link must have no other IPv4 address, and no IPv6 subnet that overlaps.
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
	removed, err := g.displace(s, index, have, present)
	if err != nil {
		return err
	}
	if present && len(removed) == 0 {
		return nil
	}
	// With a subnet's first IPv4 address the kernel deletes its others, too (promote_secondaries).
	g.queue(s, index, g.Prefix)
	if err := g.flush(s); err != nil || g.Force {
		return err
	}
	return g.putBack(s, index, removed, g.InUse)
}

// putBack adds removed addresses again whose subnet is in use by now: a network that has leased its
// first address meanwhile saw its gateway before the deletion.
func (g Gateway) putBack(s *plan.Session, index int, removed []netip.Prefix, inUse func(netip.Prefix) (bool, error)) error {
	for _, p := range removed {
		used, err := inUse(p.Masked())
		if err != nil {
			return err
		}
		if used {
			g.queue(s, index, p)
		}
	}
	return g.flush(s)
}

// queue switches duplicate address detection off, which takes 1-2 seconds (RFC 4862, section 5.4):
// an IPv6 gateway must answer at once.
func (g Gateway) queue(s *plan.Session, index int, p netip.Prefix) {
	flags := uint8(0)
	if !p.Addr().Is4() {
		flags = unix.IFA_F_NODAD
	}
	s.Host.Queue(addrRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, index, p, flags), "link %s: add address %s", g.Link, p)
}

// flush ignores that another ADD was faster, with the new address and with the old ones.
func (g Gateway) flush(s *plan.Session) error {
	return netlink.Ignore(s.Host.Flush(), unix.EEXIST, unix.EADDRNOTAVAIL)
}

// displace queues the deletion of addresses that give way to the gateway, or refuses.
func (g Gateway) displace(s *plan.Session, index int, have []netip.Prefix, present bool) (removed []netip.Prefix, err error) {
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

// stranger says whether the other address is of the same family and neither of this network nor
// made by the kernel, which makes link-local addresses of IPv6 alone.
func (g Gateway) stranger(other netip.Prefix) bool {
	return other != g.Prefix && other.Addr().Is4() == g.Prefix.Addr().Is4() &&
		!slices.Contains(g.Also, other) && (other.Addr().Is4() || !other.Addr().IsLinkLocalUnicast())
}

// clashes says whether a stranger's link can't have both. It may have many IPv6 addresses.
func (g Gateway) clashes(other netip.Prefix) bool {
	return other.Addr().Is4() || other.Overlaps(g.Prefix)
}

// DropGateways deletes the addresses that drop takes of a link, if it exists and is ours. Those
// whose subnet is in use stay.
func DropGateways(s *plan.Session, name string, drop func(netip.Prefix) bool, inUse func(subnet netip.Prefix) (bool, error)) error {
	link, err := s.Host.Link(name)
	if errors.Is(err, netlink.ErrNoLink) || err == nil && !ours(link) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	have, err := s.Host.Addresses(link.Index)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link %s: list addresses: %w", name, err)
	}
	var removed []netip.Prefix
	for _, p := range slices.DeleteFunc(have, func(p netip.Prefix) bool { return !drop(p) }) {
		used, err := inUse(p.Masked())
		if err != nil {
			return err
		}
		if !used {
			removed = append(removed, p)
			s.Host.Queue(addrRequest(unix.RTM_DELADDR, 0, link.Index, p, 0), "link %s: delete address %s", name, p)
		}
	}
	g := Gateway{Link: name}
	if err := g.flush(s); err != nil { // no error where another DEL was faster
		return err
	}
	return g.putBack(s, link.Index, removed, inUse)
}

// Check looks for the address.
func (g Gateway) Check(s *plan.Session) error {
	index, err := s.HostIndex(g.Link)
	return checkAddress(s.Host, index, err, plan.GatewayKind, "link "+g.Link, "gateway address", g.Prefix)
}

func (g Gateway) String() string {
	return fmt.Sprintf("ip address add %s dev %s", g.Prefix, g.Link)
}
