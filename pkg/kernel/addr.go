package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"

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
func (a Addr) Add(h *Host) error {
	index, err := h.containerIndex(a.IfName)
	if err != nil {
		return err
	}
	h.cont.Queue(addrRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, index, a.Prefix, 0),
		"container link %s: add address %s", a.IfName, a.Prefix)
	return nil
}

// containerIndex asks for the index of the container's link, once.
func (h *Host) containerIndex(name string) (int, error) {
	key := "/" + name // no link of the host has a slash in its name
	if i, ok := h.index[key]; ok {
		return i, nil
	}
	link, err := h.cont.Link(name)
	if err != nil {
		return 0, fmt.Errorf("container link %s: %w", name, err)
	}
	h.index[key] = link.Index
	return link.Index, nil
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
func (a Addr) Check(h *Host) error {
	d := &Drift{Object: "container link " + a.IfName}
	index, err := h.containerIndex(a.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil // the Veth says it
	}
	if err != nil {
		return err
	}
	have, err := h.cont.Addresses(index)
	if err != nil {
		return fmt.Errorf("container link %s: list addresses: %w", a.IfName, err)
	}
	if !slices.Contains(have, a.Prefix) {
		d.missing("address", a.Prefix.String())
	}
	return d.err()
}

// Del does nothing: addresses go with their link.
func (a Addr) Del(*Host) error { return nil }

func (a Addr) String() string {
	return inContainer(fmt.Sprintf("ip address add %s dev %s", a.Prefix, a.IfName))
}

// LinkUp brings the container's link up. The kernel then announces IPv4 addresses
// by gratuitous ARP (arp_notify), so they come before it and IPv6 after it.
type LinkUp struct{ IfName string }

// Add queues the request.
func (l LinkUp) Add(h *Host) error {
	h.cont.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, l.IfName, true), "container link %s: set up", l.IfName)
	return nil
}

// Check does nothing: the Veth compares the state.
func (l LinkUp) Check(*Host) error { return nil }

// Del does nothing: the link goes as a whole.
func (l LinkUp) Del(*Host) error { return nil }

func (l LinkUp) String() string { return inContainer("ip link set " + l.IfName + " up") }
