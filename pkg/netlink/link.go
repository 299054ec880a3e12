package netlink

import (
	"bytes"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Link is what the kernel says of a network device, as far as plans need it.
type Link struct {
	Index     int
	Name      string
	Kind      string // "bridge", "veth"; "" for real hardware
	MAC       net.HardwareAddr
	MTU       int
	Up        bool // IFF_UP, what an administrator wants
	Oper      bool // operationally up: it carries packets
	Promisc   bool
	Master    int // index, 0 for none
	Peer      int // index of a veth's other end in its namespace, 0 where not known
	PeerNS    int // id of the other end's namespace in this one, noNS where there is none
	Alias     string
	Group     uint32
	Port      *PortInfo // nil unless a bridge port
	Filtering bool      // a bridge that tells VLANs apart
	IPv6      bool      // it has settings of IPv6
	NoIPv6    bool      // which switch IPv6 off (disable_ipv6)
}

// PortInfo is the state of a bridge port (IFLA_BRPORT_*).
type PortInfo struct {
	State    uint8 // BR_STATE_*: 0 disabled, 3 forwarding
	Hairpin  bool
	Learning bool
	Isolated bool
}

const (
	// skipStats keeps statistics out of the answers (RTEXT_FILTER_SKIP_STATS, linux/rtnetlink.h).
	skipStats = 1 << 3
	operUp    = 6 // IF_OPER_UP, linux/if.h
	// noNS is the PeerNS of a link without another end in another namespace.
	noNS = -2
	// nsGone is the id of a namespace that nobody can enter any more
	// (NETNSA_NSID_NOT_ASSIGNED; peernet2id_alloc in net/core/net_namespace.c).
	nsGone = -1
)

var (
	// ErrNoLink says that no link has the name.
	ErrNoLink = errors.New("no such link")
	// ErrShortLink says that a message of the kernel's ends before its link does.
	ErrShortLink = errors.New("netlink: link message too short")
)

// Link asks for the link called name; ErrNoLink if there is none.
func (c *Conn) Link(name string) (*Link, error) {
	link, err := c.oneLink(nl.NewIfInfomsg(unix.AF_UNSPEC), nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	if errors.Is(err, unix.ENODEV) {
		return nil, ErrNoLink
	}
	return link, err
}

// LinkByIndex asks for the link with the index. The error wraps unix.ENODEV if there is none.
func (c *Conn) LinkByIndex(index int) (*Link, error) {
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Index = int32(index)
	return c.oneLink(info, nil)
}

func (c *Conn) oneLink(info *nl.IfInfomsg, name *nl.RtAttr) (link *Link, err error) {
	err = c.Get(Request(unix.RTM_GETLINK, 0, info, Number(unix.IFLA_EXT_MASK, skipStats), name), func(data []byte) (err error) {
		link, err = parseLink(data)
		return err
	})
	return link, err
}

// Links lists all links of the namespace.
func (c *Conn) Links() (links []*Link, err error) {
	req := Request(unix.RTM_GETLINK, 0, nl.NewIfInfomsg(unix.AF_UNSPEC), Number(unix.IFLA_EXT_MASK, skipStats))
	err = c.Dump(req, func() { links = nil }, func(data []byte) error {
		link, err := parseLink(data)
		links = append(links, link)
		return err
	})
	return links, err
}

func parseLink(data []byte) (*Link, error) {
	if len(data) < unix.SizeofIfInfomsg {
		return nil, ErrShortLink
	}
	info := nl.DeserializeIfInfomsg(data)
	attrs, err := Attributes(data[unix.SizeofIfInfomsg:])
	if err != nil {
		return nil, err
	}
	l := &Link{
		Index: int(info.Index), Up: info.Flags&unix.IFF_UP != 0,
		Promisc: info.Flags&unix.IFF_PROMISC != 0, PeerNS: noNS,
	}
	for _, a := range attrs {
		switch a.Type {
		case unix.IFLA_IFNAME:
			l.Name = CString(a.Value)
		case unix.IFLA_ADDRESS:
			l.MAC = bytes.Clone(a.Value)
		case unix.IFLA_MTU:
			l.MTU = int(U32(a.Value))
		case unix.IFLA_LINK:
			l.Peer = int(U32(a.Value))
		case unix.IFLA_LINK_NETNSID:
			l.PeerNS = int(int32(U32(a.Value)))
		case unix.IFLA_MASTER:
			l.Master = int(U32(a.Value))
		case unix.IFLA_OPERSTATE:
			l.Oper = U8(a.Value) == operUp
		case unix.IFLA_IFALIAS:
			l.Alias = CString(a.Value)
		case unix.IFLA_GROUP:
			l.Group = U32(a.Value)
		case unix.IFLA_AF_SPEC:
			l.parseIPv6(a.Value)
		case unix.IFLA_LINKINFO:
			l.parseInfo(a.Value)
		}
	}
	return l, nil
}

// parseIPv6 reads the settings of the link (IFLA_INET6_CONF), a list of int32 by DEVCONF_*.
func (l *Link) parseIPv6(data []byte) {
	const (
		inet6Conf   = 2  // IFLA_INET6_CONF, linux/if_link.h
		disableIPv6 = 26 // DEVCONF_DISABLE_IPV6, linux/ipv6.h
	)
	conf := Nested(Nested(data, unix.AF_INET6), inet6Conf)
	if len(conf) >= 4*(disableIPv6+1) {
		l.IPv6, l.NoIPv6 = true, U32(conf[4*disableIPv6:]) != 0
	}
}

// parseInfo reads what links of a kind have, and ports of bridges.
func (l *Link) parseInfo(data []byte) {
	l.Kind = CString(Nested(data, nl.IFLA_INFO_KIND))
	l.Filtering = l.Kind == "bridge" && U8(Nested(Nested(data, nl.IFLA_INFO_DATA), nl.IFLA_BR_VLAN_FILTERING)) != 0
	if CString(Nested(data, nl.IFLA_INFO_SLAVE_KIND)) != "bridge" {
		return
	}
	port := Nested(data, nl.IFLA_INFO_SLAVE_DATA)
	is := func(kind uint16) bool { return U8(Nested(port, kind)) != 0 }
	l.Port = &PortInfo{
		State: U8(Nested(port, nl.IFLA_BRPORT_STATE)), Hairpin: is(nl.IFLA_BRPORT_MODE),
		Learning: is(nl.IFLA_BRPORT_LEARNING), Isolated: is(nl.IFLA_BRPORT_ISOLATED),
	}
}

// DeleteLink removes the link called name, and with a veth its peer, if it is there.
func (c *Conn) DeleteLink(name string) error {
	_, err := c.RemoveLink(name)
	return err
}

// RemoveLink is DeleteLink that says whether the link was there.
func (c *Conn) RemoveLink(name string) (was bool, err error) {
	c.Queue(LinkRequest(unix.RTM_DELLINK, 0, name, false), "link %s: delete", name)
	err = c.Flush()
	return err == nil, Ignore(err, unix.ENODEV)
}

// Dying says whether the namespace of the link's other end is dying: the last process, socket
// and mount of the namespace are gone, so nobody uses the link. The kernel's one worker for
// such namespaces (cleanup_net) deletes the link later, on a busy node seconds later. The
// worker first takes the namespace's id away; until then the id is of no namespace.
func (c *Conn) Dying(l *Link) (bool, error) {
	if l.PeerNS == noNS || l.PeerNS == nsGone {
		return l.PeerNS == nsGone, nil
	}
	req := Request(unix.RTM_GETNSID, 0, nl.NewRtGenMsg(), nl.NewRtAttr(unix.NETNSA_NSID, nl.Uint32Attr(uint32(l.PeerNS)))) // 0 is an id
	err := c.Get(req, func([]byte) error { return nil })
	// EINVAL: a kernel before 4.20 does not tell. Then it is there.
	if gone := errors.Is(err, unix.ENOENT); gone || Ignore(err, unix.EINVAL) == nil {
		return gone, nil
	}
	return false, fmt.Errorf("link %s: namespace %d of its other end: %w", l.Name, l.PeerNS, err)
}
