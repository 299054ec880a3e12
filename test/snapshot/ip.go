package snapshot

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func (s Snapshot) takeAddrs(names linkNames) error {
	addrs, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	for _, a := range addrs {
		w := words{}
		w.add("scope", strconv.Itoa(a.Scope))
		w.add("flags", fmt.Sprintf("%#x", a.Flags&^(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED)))
		w.add("label", a.Label)
		if a.Peer != nil {
			w.add("peer", a.Peer.String())
		}
		if len(a.Broadcast) > 0 {
			w.add("broadcast", a.Broadcast.String())
		}
		// The time left moves on; whether there is a limit does not.
		if a.ValidLft != 0 && uint32(a.ValidLft) != math.MaxUint32 {
			w.add("lifetime", "limited")
		}
		s.put(fmt.Sprintf("addr %s %s", names.name(a.LinkIndex), a.IPNet), w.String())
	}
	return nil
}

func (s Snapshot) takeRoutes(names linkNames) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		// Table "unspecified" as the filter means all tables.
		routes, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(family, &netlink.Route{}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return err
		}
		for _, r := range routes {
			if r.Flags&unix.RTM_F_CLONED == 0 { // an exception the kernel learned
				s.put(routeText(r, names))
			}
		}
	}
	return nil
}

// linkFlags are the next hop flags that follow the carrier.
const linkFlags = unix.RTNH_F_LINKDOWN | unix.RTNH_F_DEAD

func routeText(r netlink.Route, names linkNames) (key, text string) {
	dst := "default"
	if r.Dst != nil {
		dst = r.Dst.String()
	}
	dev := names.name(r.LinkIndex)
	key = fmt.Sprintf("route table %d %s dev %s metric %d", r.Table, dst, dev, r.Priority)
	w := words{}
	w.add("type", strconv.Itoa(r.Type))
	w.add("via", ipText(r.Gw))
	if r.Via != nil {
		w.add("via", r.Via.String())
	}
	w.add("src", ipText(r.Src))
	w.add("scope", strconv.Itoa(int(r.Scope)))
	w.add("proto", strconv.Itoa(int(r.Protocol)))
	w.add("iif", names.name(r.ILinkIndex))
	w.add("flags", fmt.Sprintf("%#x", r.Flags&^linkFlags))
	for _, n := range []struct {
		name  string
		value int
	}{
		{"tos", r.Tos},
		{"mtu", r.MTU},
		{"advmss", r.AdvMSS},
		{"window", r.Window},
		{"realm", r.Realm},
		{"hoplimit", r.Hoplimit},
		{"initcwnd", r.InitCwnd},
		{"initrwnd", r.InitRwnd},
		{"features", r.Features},
	} {
		if n.value != 0 {
			w.add(n.name, strconv.Itoa(n.value))
		}
	}
	for _, hop := range r.MultiPath {
		w.add("nexthop", fmt.Sprintf("via %s dev %s weight %d", ipText(hop.Gw), names.name(hop.LinkIndex), hop.Hops+1))
	}
	return key, w.String()
}

func ipText(ip net.IP) string {
	if len(ip) == 0 {
		return ""
	}
	return ip.String()
}

func (s Snapshot) takeRules() error {
	for family, name := range map[int]string{netlink.FAMILY_V4: "ipv4", netlink.FAMILY_V6: "ipv6"} {
		rules, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Rule, error) { return netlink.RuleList(family) })
		if err != nil {
			return err
		}
		for _, r := range rules {
			mask := ""
			if r.Mask != nil {
				mask = fmt.Sprintf("/%#x", *r.Mask)
			}
			s.put(fmt.Sprintf("rule %s %d", name, r.Priority), fmt.Sprintf(
				"from %v to %v iif %q oif %q mark %#x%s table %d goto %d type %d invert %t proto %d sport %v dport %v tos %d uid %v suppress %d/%d",
				r.Src, r.Dst, r.IifName, r.OifName, r.Mark, mask, r.Table, r.Goto, r.Type, r.Invert,
				r.IPProto, r.Sport, r.Dport, r.Tos, r.UIDRange, r.SuppressIfgroup, r.SuppressPrefixlen))
		}
	}
	return nil
}

func (s Snapshot) takeNeighs(names linkNames) error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		neighs, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Neigh, error) { return netlink.NeighList(0, family) })
		if err != nil {
			return err
		}
		for _, n := range neighs {
			if n.State&unix.NUD_PERMANENT != 0 {
				s.put(fmt.Sprintf("neigh %s %s", names.name(n.LinkIndex), n.IP), fmt.Sprintf("lladdr %s flags %#x", n.HardwareAddr, n.Flags))
			}
		}
		proxies, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Neigh, error) { return netlink.NeighProxyList(0, family) })
		if err != nil {
			return err
		}
		for _, n := range proxies {
			s.put(fmt.Sprintf("neigh proxy %s %s", names.name(n.LinkIndex), n.IP), fmt.Sprintf("flags %#x", n.Flags))
		}
	}
	return nil
}

func (s Snapshot) takeQdiscs(names linkNames) error {
	qdiscs, err := netlink.QdiscList(nil)
	if errors.Is(err, unix.EOPNOTSUPP) { // a kernel without traffic control
		return nil
	}
	for _, q := range qdiscs {
		a := q.Attrs()
		s.put(fmt.Sprintf("qdisc %s parent %#x", names.name(a.LinkIndex), a.Parent), q.Type())
	}
	return err
}
