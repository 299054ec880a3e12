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

// Addr is an address of the container's link. It goes with the link.
type Addr struct {
	IfName string
	Prefix netip.Prefix // address and the length of its subnet
}

// Add queues the address. Where duplicate address detection is off for the link
// (accept_dad 0) it is usable at once, and the kernel announces it if the link is up
// (addrconf_dad_begin, ndisc_notify); IFA_F_NODAD would suppress the announcement.
func (a Addr) Add(s *plan.Session) error {
	index, err := s.ContainerIndex(a.IfName)
	if err != nil {
		return err
	}
	s.Container.Queue(addrRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, index, a.Prefix, 0),
		"container link %s: add address %s", a.IfName, a.Prefix)
	return nil
}

func addrRequest(kind, flags, index int, p netip.Prefix, addrFlags uint8) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	msg := nl.NewIfAddrmsg(netlink.Family(p.Addr()))
	msg.Prefixlen, msg.Index = uint8(p.Bits()), uint32(index)
	msg.IfAddrmsg.Flags = addrFlags
	req.AddData(msg)
	raw := p.Addr().AsSlice()
	req.AddData(nl.NewRtAttr(unix.IFA_LOCAL, raw))
	req.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, raw))
	if p.Addr().Is4() && p.Bits() < 31 {
		req.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, broadcast(p).AsSlice()))
	}
	return req
}

// broadcast is the last address of an IPv4 subnet.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	host := ^uint32(0) >> p.Bits()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])|host)
	return netip.AddrFrom4(b)
}

// Check looks for the address.
func (a Addr) Check(s *plan.Session) error {
	d := plan.Compare(plan.AddressKind, "container link "+a.IfName)
	index, err := s.ContainerIndex(a.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil // the Veth says it
	}
	if err != nil {
		return err
	}
	have, err := s.Container.Addresses(index)
	if err != nil {
		return fmt.Errorf("container link %s: list addresses: %w", a.IfName, err)
	}
	if !slices.Contains(have, a.Prefix) {
		d.Missing("address", a.Prefix.String())
	}
	return d.Err()
}

func (a Addr) String() string {
	return inContainer(fmt.Sprintf("ip address add %s dev %s", a.Prefix, a.IfName))
}

// LinkUp brings the container's link up. The kernel then announces IPv4 addresses
// by gratuitous ARP (arp_notify), so they come before it and IPv6 after it.
type LinkUp struct{ IfName string }

// Add queues the request.
func (l LinkUp) Add(s *plan.Session) error {
	s.Container.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, l.IfName, true), "container link %s: set up", l.IfName)
	return nil
}

func (l LinkUp) String() string { return inContainer("ip link set " + l.IfName + " up") }
