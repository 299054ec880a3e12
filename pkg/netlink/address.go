package netlink

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Addresses lists the addresses of a link, or with index 0 of all links.
func (c *Conn) Addresses(index int) ([]netip.Prefix, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETADDR, 0)
	msg := nl.NewIfAddrmsg(unix.AF_UNSPEC)
	msg.Index = uint32(index) // honoured with NETLINK_GET_STRICT_CHK, Linux 4.20
	req.AddData(msg)
	var list []netip.Prefix
	err := c.Dump(req, func() { list = nil }, func(data []byte) error {
		m := nl.DeserializeIfAddrmsg(data)
		attrs, err := Attributes(data[m.Len():])
		if err != nil || index != 0 && int(m.Index) != index {
			return err
		}
		if p, ok := PrefixOf(attrs, int(m.Prefixlen)); ok {
			list = append(list, p)
		}
		return nil
	})
	return list, err
}

// PrefixOf reads an address with the length of its subnet. It prefers IFA_LOCAL, since IFA_ADDRESS is the peer on point-to-point links.
func PrefixOf(attrs []Attr, bits int) (netip.Prefix, bool) {
	var raw []byte
	for _, a := range attrs {
		if a.Type == unix.IFA_LOCAL || a.Type == unix.IFA_ADDRESS && raw == nil {
			raw = a.Value
		}
	}
	addr, ok := netip.AddrFromSlice(raw)
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

// errOtherKind says that the kernel lists all links: it knows no driver of the kind, so
// there is no such link (linkinfo_to_kind_ops). With 900 containers reading all would
// take 18 ms.
var errOtherKind = errors.New("a link of another kind")

// AddressesOfKind are the addresses of a kind of devices, with the device; nil where
// there is no such device.
func (c *Conn) AddressesOfKind(kind string) (map[netip.Addr]string, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	// No IFLA_EXT_MASK: with one the kernel measures all links first (rtnl_calcit).
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil) // the kernel picks the devices of the kind
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(kind))
	req.AddData(info)
	// A socket of its own: closing it ends a list that is of no use.
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
	if errors.Is(err, errOtherKind) {
		return nil, nil
	}
	if err != nil || len(links) == 0 {
		return nil, err
	}
	found := make(map[netip.Addr]string)
	for _, l := range links {
		addrs, err := c.Addresses(l.Index)
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			found[a.Addr()] = l.Name
		}
	}
	return found, nil
}
