package netlink

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Addresses lists the addresses of a link, or with index 0 of all links; ErrNoLink if the link has gone.
func (c *Conn) Addresses(index int) ([]netip.Prefix, error) { return c.addresses(index, nil) }

// targetNetnsID is IFA_TARGET_NETNSID.
const targetNetnsID = 10

// PeerAddresses lists the addresses of the other end of a veth, in the other end's namespace;
// ErrNoLink if that has gone, or its namespace is dying. A kernel before 4.20 lists none. It needs
// CAP_NET_ADMIN there.
func (c *Conn) PeerAddresses(l *Link) ([]netip.Prefix, error) {
	if l.PeerNS < 0 {
		return nil, nil
	}
	id := nl.NewRtAttr(targetNetnsID, nl.Uint32Attr(uint32(l.PeerNS))) // 0 is an id, too
	list, err := c.addresses(l.Peer, id)
	if errors.Is(err, unix.EINVAL) { // no namespace has the id
		err = ErrNoLink
	}
	return list, err
}

func (c *Conn) addresses(index int, ns nl.NetlinkRequestData) ([]netip.Prefix, error) {
	msg := nl.NewIfAddrmsg(unix.AF_UNSPEC)
	msg.Index = uint32(index) // honoured with NETLINK_GET_STRICT_CHK, Linux 4.20
	req := Request(unix.RTM_GETADDR, 0, msg)
	if ns != nil {
		req.AddData(ns)
	}
	var list []netip.Prefix
	err := c.Dump(req, func() { list = nil }, func(data []byte) error {
		m := nl.DeserializeIfAddrmsg(data)
		attrs := data[m.Len():]
		known := ns == nil || Nested(attrs, targetNetnsID) != nil // else the kernel lists this namespace
		if p, ok := PrefixOf(attrs, int(m.Prefixlen)); ok && known && (index == 0 || int(m.Index) == index) {
			list = append(list, p)
		}
		return nil
	})
	if errors.Is(err, unix.ENODEV) {
		err = ErrNoLink
	}
	return list, err
}

// PrefixOf reads an address out of attributes; bits is the length of the address's subnet.
// IFA_LOCAL comes first: on point-to-point links IFA_ADDRESS is the peer.
func PrefixOf(attrs []byte, bits int) (netip.Prefix, bool) {
	addr, ok := netip.AddrFromSlice(Nested(attrs, unix.IFA_LOCAL))
	if !ok {
		addr, ok = netip.AddrFromSlice(Nested(attrs, unix.IFA_ADDRESS))
	}
	return netip.PrefixFrom(addr, bits), ok
}

// Family is the address family, AF_INET or AF_INET6.
func Family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// LocalAddresses are all addresses of the host's links.
func (c *Conn) LocalAddresses() (map[netip.Addr]bool, error) {
	addrs, err := c.Addresses(0)
	local := make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		local[a.Addr()] = true
	}
	return local, err
}

// goodSize is at least what the kernel begins a list with, in bytes (NLMSG_GOODSIZE).
const goodSize = 8 << 10

// errOtherKind says that the kernel, without a driver of the kind (linkinfo_to_kind_ops) and so
// without such links, lists all. Reading them takes 18 ms with 900 containers.
var errOtherKind = errors.New("a link of another kind")

// AddressesOfKind maps the addresses of all devices of a kind to the device's name; nil without any.
func (c *Conn) AddressesOfKind(kind string) (map[netip.Addr]string, error) {
	// No IFLA_EXT_MASK: with one the kernel measures all links first (rtnl_calcit).
	req := Request(unix.RTM_GETLINK, 0, nl.NewIfInfomsg(unix.AF_UNSPEC),
		Nest(unix.IFLA_LINKINFO, nl.NewRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(kind))))
	// Closing a socket of its own ends a list that is of no use.
	one, err := Dial()
	if err != nil {
		return nil, err
	}
	defer one.Close()
	// The kernel has as much of a list ready as was read last (netlink_recvmsg).
	one.buf = one.buf[:goodSize]
	var links []*Link
	err = one.Dump(req, func() { links = nil }, func(data []byte) error {
		link, err := parseLink(data)
		if err == nil && link.Kind != kind {
			return errOtherKind
		}
		links = append(links, link)
		return err
	})
	if err != nil || len(links) == 0 {
		return nil, Ignore(err, errOtherKind)
	}
	found := make(map[netip.Addr]string)
	for _, l := range links {
		addrs, err := c.Addresses(l.Index)
		if Ignore(err, ErrNoLink) != nil { // it may have gone since
			return nil, err
		}
		for _, a := range addrs {
			found[a.Addr()] = l.Name
		}
	}
	return found, nil
}
