package link

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Route is a route of the container. It needs the Veth before it; with a gateway it needs the
// Addr that reaches the gateway, and LinkUp. It goes with the link.
type Route struct {
	IfName   string
	Dst      netip.Prefix
	Gw       netip.Addr // invalid: directly on the link
	MTU      int        // bytes; 0 takes the link's
	AdvMSS   int        // bytes; 0 follows from the MTU
	Priority int        // the metric; 0 is the kernel's default, 1024 for IPv6
	Table    int        // 0 is main
	Scope    int        // RT_SCOPE_*; 0 is global, or link where there is no gateway
}

func (r Route) table() int { return cmp.Or(r.Table, unix.RT_TABLE_MAIN) }

func (r Route) scope() int {
	if r.Scope == unix.RT_SCOPE_UNIVERSE && !r.Gw.IsValid() && r.Dst.Addr().Is4() {
		return unix.RT_SCOPE_LINK
	}
	return r.Scope
}

func (r Route) priority() int {
	if r.Priority == 0 && !r.Dst.Addr().Is4() {
		return 1024 // IP6_RT_PRIO_USER
	}
	return r.Priority
}

// Add queues the route. Another network may have a route to the same destination. Without
// NLM_F_EXCL the new route comes first (IPv4), or the kernel uses both (IPv6).
func (r Route) Add(s *plan.Session) error {
	index, err := s.ContainerIndex(r.IfName)
	if err != nil {
		return err
	}
	msg, table := nl.NewRtMsg(), r.table()
	msg.Family, msg.Dst_len, msg.Scope = uint8(netlink.Family(r.Dst.Addr())), uint8(r.Dst.Bits()), uint8(r.scope())
	if msg.Table = unix.RT_TABLE_UNSPEC; table <= 255 { // the message has one byte
		msg.Table, table = uint8(table), 0
	}
	req := netlink.Request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, msg,
		netlink.Bytes(unix.RTA_DST, r.Dst.Addr().AsSlice()), netlink.Number(unix.RTA_OIF, index), netlink.Bytes(unix.RTA_GATEWAY, r.Gw.AsSlice()),
		netlink.Number(unix.RTA_PRIORITY, r.Priority), netlink.Number(unix.RTA_TABLE, table),
		netlink.Nest(unix.RTA_METRICS, netlink.Number(unix.RTAX_MTU, r.MTU), netlink.Number(unix.RTAX_ADVMSS, r.AdvMSS)))
	s.Container.Queue(req, "container link %s: add route %s", r.IfName, r.text())
	return nil
}

// Check looks for the route with all its attributes in its table. The Veth reports a missing link.
func (r Route) Check(s *plan.Session) error {
	index, err := s.ContainerIndex(r.IfName)
	if err != nil {
		return netlink.Ignore(err, netlink.ErrNoLink)
	}
	have, err := listRoutes(s.Container, r.Dst, r.table(), index)
	if err != nil {
		return fmt.Errorf("container link %s: list routes: %w", r.IfName, err)
	}
	d := plan.Compare(plan.RouteKind, "container link "+r.IfName)
	if len(have) == 0 {
		return d.Missing("route", r.text()).Err()
	}
	return d.WantIf(!slices.ContainsFunc(have, r.same), "route", r.text(), have[0].text()).Err()
}

// same compares the attributes that the plan has; those that the kernel chose may have any value.
func (r Route) same(o Route) bool {
	return r.Gw == o.Gw && r.priority() == o.priority() && r.scope() == o.scope() &&
		(r.MTU == 0 || r.MTU == o.MTU) && (r.AdvMSS == 0 || r.AdvMSS == o.AdvMSS)
}

func (r Route) String() string {
	ip := "ip"
	if r.Dst.Bits() == 0 && !r.Dst.Addr().Is4() {
		ip = "ip -6" // "default" alone is IPv4's
	}
	return inContainer(fmt.Sprintf("%s route add %s dev %s", ip, r.text(), r.IfName))
}

// text is the route as ip(8) has it, without the device.
func (r Route) text() string {
	dst := r.Dst.String()
	if r.Dst.Bits() == 0 && r.Dst.Addr().IsUnspecified() {
		dst = "default"
	}
	return dst + when(r.Gw.IsValid(), " via %s", r.Gw) + when(r.Priority > 0, " metric %d", r.Priority) +
		when(r.Table > 0 && r.Table != unix.RT_TABLE_MAIN, " table %d", r.Table) + when(r.Scope > 0, " scope %d", r.Scope) +
		when(r.MTU > 0, " mtu %d", r.MTU) + when(r.AdvMSS > 0, " advmss %d", r.AdvMSS)
}

// listRoutes lists the routes to exactly dst through the link in the table.
func listRoutes(c *netlink.Conn, dst netip.Prefix, table, index int) (list []Route, err error) {
	err = eachRoute(c, netlink.Family(dst.Addr()), table, func() { list = nil }, func(_ *nl.RtMsg, got Route, oif int) {
		if got.Dst == dst && oif == index && got.Table == table {
			list = append(list, got)
		}
	})
	return list, err
}

// eachRoute lists the routes of a table, each with the index of its link: a route that has several
// ways for each of them. A family without the table has no routes.
func eachRoute(c *netlink.Conn, family, table int, reset func(), fn func(m *nl.RtMsg, r Route, oif int)) error {
	// A strict dump takes no filters but family and table (ip_valid_fib_dump_req).
	req := netlink.Request(unix.RTM_GETROUTE, 0, &nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family)}}, netlink.Number(unix.RTA_TABLE, table))
	err := c.Dump(req, reset, func(data []byte) error {
		m := nl.DeserializeRtMsg(data)
		attrs := data[m.Len():]
		r, oif := parseRoute(m, attrs)
		for _, way := range append(hops(attrs), hop{r.Gw, oif}) {
			if r.Gw = way.gw; way.oif != 0 {
				fn(m, r, way.oif)
			}
		}
		return nil
	})
	return netlink.Ignore(err, unix.ENOENT)
}

// hop is one way of a route that has several.
type hop struct {
	gw  netip.Addr
	oif int
}

// hops reads RTA_MULTIPATH, a list of struct rtnexthop with attributes. The kernel joins IPv6
// routes of one destination and metric to one route (fib6_add_rt2node).
func hops(attrs []byte) (list []hop) {
	for b := netlink.Nested(attrs, unix.RTA_MULTIPATH); len(b) >= unix.SizeofRtNexthop; {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtNexthop || length > len(b) {
			break
		}
		h := hop{oif: int(binary.NativeEndian.Uint32(b[4:]))}
		h.gw, _ = netip.AddrFromSlice(netlink.Nested(b[unix.SizeofRtNexthop:length], unix.RTA_GATEWAY))
		list = append(list, h)
		b = b[min((length+3)&^3, len(b)):]
	}
	return list
}

// parseRoute reads a route and the index of its link.
func parseRoute(m *nl.RtMsg, attrs []byte) (r Route, oif int) {
	number := func(b []byte, kind uint16) int { return int(netlink.U32(netlink.Nested(b, kind))) }
	addr, found := netip.AddrFromSlice(netlink.Nested(attrs, unix.RTA_DST)) // of the kernel's own length
	if !found && m.Family == unix.AF_INET {
		addr = netip.IPv4Unspecified()
	} else if !found {
		addr = netip.IPv6Unspecified()
	}
	metrics := netlink.Nested(attrs, unix.RTA_METRICS)
	r = Route{
		Dst: netip.PrefixFrom(addr, int(m.Dst_len)), Scope: int(m.Scope), Priority: number(attrs, unix.RTA_PRIORITY),
		Table: cmp.Or(number(attrs, unix.RTA_TABLE), int(m.Table)), MTU: number(metrics, unix.RTAX_MTU), AdvMSS: number(metrics, unix.RTAX_ADVMSS),
	}
	r.Gw, _ = netip.AddrFromSlice(netlink.Nested(attrs, unix.RTA_GATEWAY))
	return r, number(attrs, unix.RTA_OIF)
}

// ErrNoUplink says that the host has no default route.
var ErrNoUplink = errors.New("the host has no default route")

// eachUplink calls each for the links of both families' default routes, with the route's MTU in bytes; 0
// where it has none.
func eachUplink(s *plan.Session, each func(l *netlink.Link, mtu int)) error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		type route struct{ link, mtu int }
		var routes []route
		err := eachRoute(s.Host, family, unix.RT_TABLE_MAIN, func() { routes = nil }, func(m *nl.RtMsg, r Route, oif int) {
			if m.Dst_len == 0 && m.Type == unix.RTN_UNICAST && m.Table == unix.RT_TABLE_MAIN {
				routes = append(routes, route{oif, r.MTU})
			}
		})
		if err != nil {
			return fmt.Errorf("list default routes: %w", err)
		}
		for _, r := range routes {
			link, err := s.Host.LinkByIndex(r.link)
			if err != nil {
				return fmt.Errorf("link of the default route: %w", err)
			}
			each(link, r.mtu)
		}
	}
	return nil
}

// UplinkMTU is the smallest MTU, in bytes, of both families' default routes and of their links.
func UplinkMTU(s *plan.Session) (int, error) {
	smallest := math.MaxInt
	err := eachUplink(s, func(l *netlink.Link, mtu int) { smallest = min(smallest, l.MTU, cmp.Or(mtu, l.MTU)) })
	if err == nil && smallest == math.MaxInt {
		return 0, ErrNoUplink
	}
	return smallest, err
}

// UplinkBridge is the name of a bridge by which the host's default route leads; "" without one.
func UplinkBridge(s *plan.Session) (name string, err error) {
	err = eachUplink(s, func(l *netlink.Link, _ int) {
		if l.Kind == "bridge" {
			name = l.Name
		}
	})
	return name, err
}

// Towards is the host's link by which packets to a container's address leave.
type Towards struct {
	Link   string // "" without an address or a route, and for an address of the host
	Bridge bool
}

// LinkTowards finds the link towards an address.
func LinkTowards(s *plan.Session, a netip.Addr) (Towards, error) {
	if !a.IsValid() {
		return Towards{}, nil
	}
	index, _, err := RouteTo(s, a)
	if err != nil || index == 0 {
		return Towards{}, err
	}
	link, err := s.Host.LinkByIndex(index)
	if err != nil {
		return Towards{}, fmt.Errorf("route to %s: %w", a, err)
	}
	return Towards{link.Name, link.Kind == "bridge"}, nil
}

// RouteTo is the index of the link by which packets to an address leave, 0 without one; gateway
// says whether they go to a gateway.
func RouteTo(s *plan.Session, a netip.Addr) (index int, gateway bool, err error) {
	msg := &nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(netlink.Family(a)), Dst_len: uint8(a.BitLen())}}
	err = s.Host.Get(netlink.Request(unix.RTM_GETROUTE, 0, msg, netlink.Bytes(unix.RTA_DST, a.AsSlice())), func(data []byte) error {
		m := nl.DeserializeRtMsg(data)
		if attrs := data[m.Len():]; m.Type == unix.RTN_UNICAST {
			index = int(netlink.U32(netlink.Nested(attrs, unix.RTA_OIF)))
			gateway = netlink.Nested(attrs, unix.RTA_GATEWAY) != nil || netlink.Nested(attrs, unix.RTA_VIA) != nil
		}
		return nil
	})
	if err = netlink.Ignore(err, unix.ENETUNREACH, unix.EHOSTUNREACH); err != nil {
		err = fmt.Errorf("route to %s: %w", a, err)
	}
	return index, gateway, err
}
