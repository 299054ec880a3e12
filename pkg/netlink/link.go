package netlink

import (
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
	PeerNS    int // id of the other end's namespace in this one, NoNS where there is none
	Alias     string
	Group     uint32
	SlaveKind string    // "bridge" for a bridge port
	Port      *PortInfo // nil unless a bridge port
	Filtering bool      // a bridge that tells VLANs apart
	// IPv6 says whether the link has settings of IPv6, and NoIPv6 whether these switch it off
	// (disable_ipv6).
	IPv6, NoIPv6 bool
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
)

const (
	// NoNS is the PeerNS of a link without another end elsewhere.
	NoNS = -2
	// NSGone is the id of a namespace that nobody can enter any more
	// (NETNSA_NSID_NOT_ASSIGNED; peernet2id_alloc in net/core/net_namespace.c).
	NSGone = -1
)

var (
	// ErrNoLink says that no link has the name.
	ErrNoLink = errors.New("no such link")
	// ErrShortLink says that a message of the kernel's ends before its link does.
	ErrShortLink = errors.New("netlink: link message too short")
)

// Link asks for the link called name; ErrNoLink if there is none.
func (c *Conn) Link(name string) (*Link, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	var link *Link
	err := c.Get(req, func(data []byte) (err error) {
		link, err = parseLink(data)
		return err
	})
	if errors.Is(err, unix.ENODEV) {
		return nil, ErrNoLink
	}
	return link, err
}

// Links lists all links of the namespace.
func (c *Conn) Links() ([]*Link, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	var links []*Link
	err := c.Dump(req, func() { links = nil }, func(data []byte) error {
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
		Promisc: info.Flags&unix.IFF_PROMISC != 0, PeerNS: NoNS,
	}
	for _, a := range attrs {
		switch a.Type {
		case unix.IFLA_IFNAME:
			l.Name = CString(a.Value)
		case unix.IFLA_ADDRESS:
			l.MAC = net.HardwareAddr(append([]byte(nil), a.Value...))
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
			if err := l.parseInfo(a.Value); err != nil {
				return nil, err
			}
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

func (l *Link) parseInfo(data []byte) error {
	attrs, err := Attributes(data)
	if err != nil {
		return err
	}
	var slave, own []byte
	for _, a := range attrs {
		switch a.Type {
		case nl.IFLA_INFO_KIND:
			l.Kind = CString(a.Value)
		case nl.IFLA_INFO_DATA:
			own = a.Value
		case nl.IFLA_INFO_SLAVE_KIND:
			l.SlaveKind = CString(a.Value)
		case nl.IFLA_INFO_SLAVE_DATA:
			slave = a.Value
		}
	}
	if l.Kind == "bridge" {
		if l.Filtering, err = hasFiltering(own); err != nil {
			return err
		}
	}
	if l.SlaveKind != "bridge" {
		return nil
	}
	attrs, err = Attributes(slave)
	if err != nil {
		return err
	}
	l.Port = &PortInfo{}
	for _, a := range attrs {
		switch a.Type {
		case nl.IFLA_BRPORT_STATE:
			l.Port.State = U8(a.Value)
		case nl.IFLA_BRPORT_MODE:
			l.Port.Hairpin = U8(a.Value) != 0
		case nl.IFLA_BRPORT_LEARNING:
			l.Port.Learning = U8(a.Value) != 0
		case nl.IFLA_BRPORT_ISOLATED:
			l.Port.Isolated = U8(a.Value) != 0
		}
	}
	return nil
}

func hasFiltering(data []byte) (bool, error) {
	attrs, err := Attributes(data)
	for _, a := range attrs {
		if a.Type == nl.IFLA_BR_VLAN_FILTERING {
			return U8(a.Value) != 0, nil
		}
	}
	return false, err
}

// LinkRequest begins a message about the link called name. flags are NLM_F_*.
func LinkRequest(kind, flags int, name string, up bool) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	if up {
		info.Flags, info.Change = unix.IFF_UP, unix.IFF_UP
	}
	req.AddData(info)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return req
}

// DownRequest takes the link called name down.
func DownRequest(name string) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, 0)
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Change = unix.IFF_UP
	req.AddData(info)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return req
}

// DeleteLink removes the link called name, and with a veth its peer; a missing one
// is success.
func (c *Conn) DeleteLink(name string) error {
	c.Queue(LinkRequest(unix.RTM_DELLINK, 0, name, false), "link %s: delete", name)
	if err := c.Flush(); !errors.Is(err, unix.ENODEV) {
		return err
	}
	return nil
}

// LinkByIndex asks for the link with the index. The error wraps unix.ENODEV if there is none.
func (c *Conn) LinkByIndex(index int) (*Link, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Index = int32(index)
	req.AddData(info)
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	var link *Link
	err := c.Get(req, func(data []byte) (err error) {
		link, err = parseLink(data)
		return err
	})
	return link, err
}

// Dying says whether the other end's namespace is: its last process, socket and mount are
// gone, so nobody uses the link, but the kernel's one worker that takes namespaces apart
// (cleanup_net) comes to it later, on a busy node seconds later. It first takes the
// namespace's id away, which until then names a namespace that there is no more.
func (c *Conn) Dying(l *Link) (bool, error) {
	if l.PeerNS == NoNS || l.PeerNS == NSGone {
		return l.PeerNS == NSGone, nil
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETNSID, 0)
	req.AddData(nl.NewRtGenMsg())
	req.AddData(nl.NewRtAttr(unix.NETNSA_NSID, nl.Uint32Attr(uint32(l.PeerNS))))
	err := c.Get(req, func([]byte) error { return nil })
	switch {
	case errors.Is(err, unix.ENOENT):
		return true, nil
	case errors.Is(err, unix.EINVAL): // a kernel before 4.20 does not tell: it is there
		return false, nil
	case err != nil:
		return false, fmt.Errorf("link %s: namespace %d of its other end: %w", l.Name, l.PeerNS, err)
	}
	return false, nil
}
