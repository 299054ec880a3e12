package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Route is a route of the container. It goes with the link.
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

func (r Route) table() int {
	if r.Table == 0 {
		return unix.RT_TABLE_MAIN
	}
	return r.Table
}

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

// Add queues the route. Another network's to the same destination may be there: without
// NLM_F_EXCL the new one comes first (IPv4), or both are used (IPv6).
func (r Route) Add(s *plan.Session) error {
	index, err := s.ContainerIndex(r.IfName)
	if err != nil {
		return err
	}
	req := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE)
	req.AddData(r.message())
	req.AddData(nl.NewRtAttr(unix.RTA_DST, r.Dst.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	if r.Gw.IsValid() {
		req.AddData(nl.NewRtAttr(unix.RTA_GATEWAY, r.Gw.AsSlice()))
	}
	if r.Priority > 0 {
		req.AddData(nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(uint32(r.Priority))))
	}
	if r.table() > 255 {
		req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(uint32(r.table()))))
	}
	if r.MTU > 0 || r.AdvMSS > 0 {
		metrics := nl.NewRtAttr(unix.RTA_METRICS, nil)
		if r.MTU > 0 {
			metrics.AddRtAttr(unix.RTAX_MTU, nl.Uint32Attr(uint32(r.MTU)))
		}
		if r.AdvMSS > 0 {
			metrics.AddRtAttr(unix.RTAX_ADVMSS, nl.Uint32Attr(uint32(r.AdvMSS)))
		}
		req.AddData(metrics)
	}
	s.Container.Queue(req, "container link %s: add route %s", r.IfName, r.text())
	return nil
}

func (r Route) message() *nl.RtMsg {
	msg := nl.NewRtMsg()
	msg.Family = uint8(netlink.Family(r.Dst.Addr()))
	msg.Dst_len = uint8(r.Dst.Bits())
	msg.Scope = uint8(r.scope())
	msg.Table = unix.RT_TABLE_UNSPEC // RTA_TABLE says it
	if r.table() <= 255 {
		msg.Table = uint8(r.table())
	}
	return msg
}

// Check looks for the route with all its attributes, in its own table.
func (r Route) Check(s *plan.Session) error {
	index, err := s.ContainerIndex(r.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil // the Veth says it
	}
	if err != nil {
		return err
	}
	have, err := listRoutes(s.Container, r.Dst, r.table(), index)
	if err != nil {
		return fmt.Errorf("container link %s: list routes: %w", r.IfName, err)
	}
	d := plan.Compare(plan.RouteKind, "container link "+r.IfName)
	if len(have) == 0 {
		d.Missing("route", r.text())
		return d.Err()
	}
	for _, got := range have {
		if r.same(got) {
			return nil
		}
	}
	got := have[0]
	got.IfName = r.IfName
	d.Want("route", r.text(), got.text())
	return d.Err()
}

// same compares what was asked for; attributes that were left to the kernel may
// have any value.
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
	var b strings.Builder
	if r.Dst.Bits() == 0 && r.Dst.Addr().IsUnspecified() {
		b.WriteString("default")
	} else {
		b.WriteString(r.Dst.String())
	}
	if r.Gw.IsValid() {
		fmt.Fprintf(&b, " via %s", r.Gw)
	}
	if r.Priority > 0 {
		fmt.Fprintf(&b, " metric %d", r.Priority)
	}
	if r.Table > 0 && r.Table != unix.RT_TABLE_MAIN {
		fmt.Fprintf(&b, " table %d", r.Table)
	}
	if r.Scope > 0 {
		fmt.Fprintf(&b, " scope %d", r.Scope)
	}
	if r.MTU > 0 {
		fmt.Fprintf(&b, " mtu %d", r.MTU)
	}
	if r.AdvMSS > 0 {
		fmt.Fprintf(&b, " advmss %d", r.AdvMSS)
	}
	return b.String()
}

// listRoutes lists the routes to exactly dst through the link in the table.
func listRoutes(c *netlink.Conn, dst netip.Prefix, table, index int) ([]Route, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, 0)
	msg := nl.NewRtMsg()
	// A strict dump takes only these as filters (ip_valid_fib_dump_req).
	*msg = nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(netlink.Family(dst.Addr()))}}
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(uint32(table))))
	var list []Route
	err := c.Dump(req, func() { list = nil }, func(data []byte) error {
		m := nl.DeserializeRtMsg(data)
		attrs, err := netlink.Attributes(data[m.Len():])
		if err != nil {
			return err
		}
		got, oif := parseRoute(m, attrs)
		for _, hop := range append(hops(attrs), hop{got.Gw, oif}) {
			if got.Gw = hop.gw; got.Dst == dst && hop.oif == index && got.Table == table {
				list = append(list, got)
			}
		}
		return nil
	})
	if errors.Is(err, unix.ENOENT) { // no such table
		return nil, nil
	}
	return list, err
}

// hop is one way of a route that has several.
type hop struct {
	gw  netip.Addr
	oif int
}

// hops reads RTA_MULTIPATH, a list of struct rtnexthop with attributes: IPv6 routes of
// one destination and metric are one to the kernel (fib6_add_rt2node).
func hops(attrs []netlink.Attr) (list []hop) {
	for _, a := range attrs {
		if a.Type != unix.RTA_MULTIPATH {
			continue
		}
		for b := a.Value; len(b) >= unix.SizeofRtNexthop; {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofRtNexthop || length > len(b) {
				return list
			}
			h := hop{oif: int(binary.NativeEndian.Uint32(b[4:]))}
			own, err := netlink.Attributes(b[unix.SizeofRtNexthop:length])
			if err != nil {
				return list
			}
			for _, o := range own {
				if o.Type == unix.RTA_GATEWAY {
					h.gw, _ = netip.AddrFromSlice(o.Value)
				}
			}
			list = append(list, h)
			b = b[min((length+3)&^3, len(b)):]
		}
	}
	return list
}

func parseRoute(m *nl.RtMsg, attrs []netlink.Attr) (Route, int) {
	r := Route{Table: int(m.Table), Scope: int(m.Scope)}
	addr, oif := netip.IPv6Unspecified(), 0
	if m.Family == unix.AF_INET {
		addr = netip.IPv4Unspecified()
	}
	for _, a := range attrs {
		switch a.Type {
		case unix.RTA_DST:
			addr, _ = netip.AddrFromSlice(a.Value) // the kernel's own length
		case unix.RTA_GATEWAY:
			r.Gw, _ = netip.AddrFromSlice(a.Value)
		case unix.RTA_OIF:
			oif = int(netlink.U32(a.Value))
		case unix.RTA_PRIORITY:
			r.Priority = int(netlink.U32(a.Value))
		case unix.RTA_TABLE:
			r.Table = int(netlink.U32(a.Value))
		case unix.RTA_METRICS:
			r.parseMetrics(a.Value)
		}
	}
	r.Dst = netip.PrefixFrom(addr, int(m.Dst_len))
	return r, oif
}

func (r *Route) parseMetrics(data []byte) {
	attrs, err := netlink.Attributes(data)
	if err != nil {
		return // then the comparison says that they are missing
	}
	for _, a := range attrs {
		switch a.Type {
		case unix.RTAX_MTU:
			r.MTU = int(netlink.U32(a.Value))
		case unix.RTAX_ADVMSS:
			r.AdvMSS = int(netlink.U32(a.Value))
		}
	}
}
