package link

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Addr is an address of the container's link. Addr needs the Veth before it, and goes with the
// link.
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
