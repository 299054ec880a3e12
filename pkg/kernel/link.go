package kernel

import (
	"errors"
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
	SlaveKind string    // "bridge" for a bridge port
	Port      *PortInfo // nil unless a bridge port
	Filtering bool      // a bridge that tells VLANs apart
}

// PortInfo is the state of a bridge port (IFLA_BRPORT_*).
type PortInfo struct {
	State    uint8 // BR_STATE_*: 0 disabled, 3 forwarding
	Hairpin  bool
	Learning bool
	Isolated bool
}

const (
	// iflaExtMask and skipStats keep statistics out of the answers.
	skipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS, linux/rtnetlink.h
	operUp    = 6      // IF_OPER_UP, linux/if.h
	// Attributes of linux/if_link.h that package unix lacks.
	brportState    = 1
	brportMode     = 4
	brportLearning = 8
	brportIsolated = 33
	inet6GenMode   = 8 // IFLA_INET6_ADDR_GEN_MODE
	genModeNone    = 1 // IN6_ADDR_GEN_MODE_NONE
)

const (
	// noNS is the PeerNS of a link without another end elsewhere.
	noNS = -2
	// nsGone is the id of a namespace that nobody can enter any more
	// (NETNSA_NSID_NOT_ASSIGNED; peernet2id_alloc in net/core/net_namespace.c).
	nsGone = -1
)

var (
	// errNoLink says that no link has the name.
	errNoLink    = errors.New("no such link")
	errShortLink = errors.New("netlink: link message too short")
)

// Link asks for the link called name; errNoLink if there is none.
func (c *Conn) Link(name string) (*Link, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	var link *Link
	err := c.get(req, func(data []byte) (err error) {
		link, err = parseLink(data)
		return err
	})
	if errors.Is(err, unix.ENODEV) {
		return nil, errNoLink
	}
	return link, err
}

// Links lists all links of the namespace.
func (c *Conn) Links() ([]*Link, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	var links []*Link
	err := c.dump(req, func() { links = nil }, func(data []byte) error {
		link, err := parseLink(data)
		links = append(links, link)
		return err
	})
	return links, err
}

func parseLink(data []byte) (*Link, error) {
	if len(data) < unix.SizeofIfInfomsg {
		return nil, errShortLink
	}
	info := nl.DeserializeIfInfomsg(data)
	attrs, err := attributes(data[unix.SizeofIfInfomsg:])
	if err != nil {
		return nil, err
	}
	l := &Link{
		Index: int(info.Index), Up: info.Flags&unix.IFF_UP != 0,
		Promisc: info.Flags&unix.IFF_PROMISC != 0, PeerNS: noNS,
	}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.IFLA_IFNAME:
			l.Name = cString(a.Value)
		case unix.IFLA_ADDRESS:
			l.MAC = net.HardwareAddr(append([]byte(nil), a.Value...))
		case unix.IFLA_MTU:
			l.MTU = int(u32(a.Value))
		case unix.IFLA_LINK:
			l.Peer = int(u32(a.Value))
		case unix.IFLA_LINK_NETNSID:
			l.PeerNS = int(int32(u32(a.Value)))
		case unix.IFLA_MASTER:
			l.Master = int(u32(a.Value))
		case unix.IFLA_OPERSTATE:
			l.Oper = u8(a.Value) == operUp
		case unix.IFLA_IFALIAS:
			l.Alias = cString(a.Value)
		case unix.IFLA_GROUP:
			l.Group = u32(a.Value)
		case unix.IFLA_LINKINFO:
			if err := l.parseInfo(a.Value); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

func (l *Link) parseInfo(data []byte) error {
	attrs, err := attributes(data)
	if err != nil {
		return err
	}
	var slave, own []byte
	for _, a := range attrs {
		switch a.Attr.Type {
		case nl.IFLA_INFO_KIND:
			l.Kind = cString(a.Value)
		case nl.IFLA_INFO_DATA:
			own = a.Value
		case nl.IFLA_INFO_SLAVE_KIND:
			l.SlaveKind = cString(a.Value)
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
	attrs, err = attributes(slave)
	if err != nil {
		return err
	}
	l.Port = &PortInfo{}
	for _, a := range attrs {
		switch a.Attr.Type {
		case brportState:
			l.Port.State = u8(a.Value)
		case brportMode:
			l.Port.Hairpin = u8(a.Value) != 0
		case brportLearning:
			l.Port.Learning = u8(a.Value) != 0
		case brportIsolated:
			l.Port.Isolated = u8(a.Value) != 0
		}
	}
	return nil
}

func hasFiltering(data []byte) (bool, error) {
	attrs, err := attributes(data)
	for _, a := range attrs {
		if a.Attr.Type == brFiltering {
			return u8(a.Value) != 0, nil
		}
	}
	return false, err
}

// linkRequest begins a message about the link called name. flags are NLM_F_*.
func linkRequest(kind, flags int, name string, up bool) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	if up {
		info.Flags, info.Change = unix.IFF_UP, unix.IFF_UP
	}
	req.AddData(info)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return req
}

// downRequest takes the link called name down.
func downRequest(name string) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, 0)
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Change = unix.IFF_UP
	req.AddData(info)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	return req
}

// deleteLink removes the host's link called name.
func (h *Host) deleteLink(name string) error { return h.rt.deleteLink(name) }

// deleteLink removes the link called name, and with a veth its peer; a missing one
// is success.
func (c *Conn) deleteLink(name string) error {
	c.Queue(linkRequest(unix.RTM_DELLINK, 0, name, false), "link %s: delete", name)
	if err := c.Flush(); !errors.Is(err, unix.ENODEV) {
		return err
	}
	return nil
}
