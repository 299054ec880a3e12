package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is a network device with its addresses.
type Link struct {
	Index     int
	Name      string
	Kind      string // "bridge", "veth"; "device" for real hardware
	Alias     string
	MAC       string
	MTU       int // bytes
	Master    int // index, 0 for none
	Peer      int // a veth's other end: index, in the namespace of PeerSpace
	PeerSpace int // the kernel's number of that namespace; -1 for this one
	Up        bool
	Carrier   bool
	Promisc   bool
	Group     uint32 // 0 for none
	Addrs     []netip.Prefix
	// Bytes and packets since the link was made.
	RxBytes, TxBytes, RxPackets, TxPackets, Drops uint64
}

// Has says whether the link has the address.
func (l Link) Has(a netip.Addr) bool {
	return slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool { return p.Addr() == a })
}

// Ours says whether Bridgeport made the link.
func (l Link) Ours() bool {
	word := label.Tag(l.Alias)
	return l.Kind == "bridge" && word == "bridgeport" || l.Kind == "veth" && label.IsTag(word)
}

func links() ([]Link, error) {
	all, err := dump.Whole(netlink.ErrDumpInterrupted, netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("links: list: %w", err)
	}
	addrs, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("addresses: list: %w", err)
	}
	at := make(map[int]int)
	list := make([]Link, len(all))
	for i, l := range all {
		list[i] = linkOf(l)
		at[list[i].Index] = i
	}
	for _, a := range addrs {
		if i, ok := at[a.LinkIndex]; ok && a.IPNet != nil {
			list[i].Addrs = append(list[i].Addrs, cni.Prefix(*a.IPNet))
		}
	}
	return list, nil
}

func linkOf(l netlink.Link) Link {
	a := l.Attrs()
	out := Link{
		Index: a.Index, Name: a.Name, Kind: l.Type(), Alias: a.Alias, MAC: a.HardwareAddr.String(),
		MTU: a.MTU, Master: a.MasterIndex, Peer: a.ParentIndex, PeerSpace: a.NetNsID,
		Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, Promisc: a.Promisc > 0, Group: a.Group,
	}
	if s := a.Statistics; s != nil {
		out.RxBytes, out.TxBytes, out.RxPackets, out.TxPackets = s.RxBytes, s.TxBytes, s.RxPackets, s.TxPackets
		out.Drops = s.RxDropped + s.TxDropped
	}
	return out
}

// Route is one route of the main table, or a local one.
type Route struct {
	Dst      netip.Prefix // of length 0 for a default route
	Gateway  netip.Addr   // invalid without one
	Link     int          // index
	Protocol int          // RTPROT_*: 2 kernel, 9 ra
	Priority int
	MTU      int // bytes, 0 for the link's
}

func routes() ([]Route, error) {
	var list []Route
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		all, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return nil, fmt.Errorf("routes: list: %w", err)
		}
		for _, r := range all {
			route := Route{cni.Prefix(*r.Dst), cni.Addr(r.Gw), r.LinkIndex, int(r.Protocol), r.Priority, r.MTU}
			if len(r.MultiPath) > 0 {
				route.Link, route.Gateway = r.MultiPath[0].LinkIndex, cni.Addr(r.MultiPath[0].Gw)
			}
			list = append(list, route)
		}
	}
	return list, nil
}

// RouteTo is the route of the main table that packets to the address take; nil if none.
func (n *Node) RouteTo(a netip.Addr) *Route {
	var best *Route
	for i, r := range n.Routes {
		if r.Dst.Addr().Is4() != a.Is4() || !r.Dst.Contains(a) {
			continue
		}
		if best == nil || r.Dst.Bits() > best.Dst.Bits() || r.Dst.Bits() == best.Dst.Bits() && r.Priority < best.Priority {
			best = &n.Routes[i]
		}
	}
	return best
}

// LinkTo is the route to the address and its link; nil where there is none.
func (n *Node) LinkTo(a netip.Addr) (*Route, *Link) {
	if r := n.RouteTo(a); r != nil {
		return r, n.LinkAt(r.Link)
	}
	return nil, nil
}

// Space is a network namespace other than the node's.
type Space struct {
	Path string
	ID   int // the number by which the node's links know it; -1 if none does
}

// spaces finds namespaces that are mounted or have processes, not one that only a file descriptor keeps alive.
func spaces() (list []Space) {
	self, err := netns.Current()
	if err != nil {
		return nil
	}
	defer self.Close()
	seen := map[uint64]bool{self.Ino(): true}
	for _, pattern := range []string{"/run/netns/*", "/var/run/netns/*", "/run/docker/netns/*", "/proc/[0-9]*/ns/net"} {
		found, _ := filepath.Glob(pattern) // the patterns are right
		for _, path := range found {
			if s, ok := space(path, seen); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

func space(path string, seen map[uint64]bool) (Space, bool) {
	var ino uint64
	// A link of /proc tells the number without being opened.
	if target, err := os.Readlink(path); err == nil {
		if _, err := fmt.Sscanf(target, "net:[%d]", &ino); err == nil && seen[ino] {
			return Space{}, false
		}
	}
	ns, err := netns.Open(path)
	if err != nil {
		return Space{}, false // gone meanwhile, or no namespace
	}
	defer ns.Close()
	if seen[ns.Ino()] {
		return Space{}, false
	}
	seen[ns.Ino()] = true
	id, err := netlink.GetNetNsIdByFd(ns.Fd())
	if err != nil {
		id = -1
	}
	return Space{Path: path, ID: id}, true
}

// SpaceOf is where a veth's other end is; nil if it could not be found.
func (n *Node) SpaceOf(l *Link) *Space {
	if l == nil || l.Kind != "veth" || l.PeerSpace < 0 {
		return nil
	}
	return find(n.Spaces, func(s *Space) bool { return s.ID == l.PeerSpace })
}

// ErrGone says that a namespace does not exist any more.
var ErrGone = errors.New("the namespace is gone")

// Enter reads links, and with routes also these, in the namespace at path; ErrGone where there is none. The one that this
// command runs in is an error, too: no container of this node is there. It is gone where the path is a
// process's, whose number another has by now.
func Enter(path string, withRoutes bool) (*Node, error) {
	ns, err := netns.Open(path)
	if errors.Is(err, netns.ErrNotExist) || errors.Is(err, netns.ErrNotNetns) {
		return nil, fmt.Errorf("%s: %w", path, ErrGone)
	}
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	self, err := netns.Current()
	if err != nil {
		return nil, err
	}
	defer self.Close()
	if self.Ino() == ns.Ino() {
		if strings.HasPrefix(path, "/proc/") {
			return nil, fmt.Errorf("%s: is the node's own namespace: %w", path, ErrGone)
		}
		return nil, fmt.Errorf("%s: is where this command runs: run it in the node's own network namespace", path)
	}
	in := &Node{}
	err = ns.Do(func() (err error) {
		if in.Links, err = links(); err == nil && withRoutes {
			in.Routes, err = routes()
		}
		return err
	})
	return in, err
}
