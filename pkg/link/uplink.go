package link

import (
	"errors"
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrNoUplink says that the host has no default route.
var ErrNoUplink = errors.New("the host has no default route")

// UplinkMTU is the smallest MTU, in bytes, on the host's ways out: of the links of
// its default routes of both families, and of those routes themselves.
func UplinkMTU(s *plan.Session) (int, error) {
	smallest := 0
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		routes, err := defaultRoutes(s.Host, family)
		if err != nil {
			return 0, fmt.Errorf("list default routes: %w", err)
		}
		for _, r := range routes {
			link, err := s.Host.LinkByIndex(r.link)
			if err != nil {
				return 0, fmt.Errorf("link of the default route: %w", err)
			}
			mtu := link.MTU
			if r.mtu > 0 {
				mtu = min(mtu, r.mtu)
			}
			if smallest == 0 || mtu < smallest {
				smallest = mtu
			}
		}
	}
	if smallest == 0 {
		return 0, ErrNoUplink
	}
	return smallest, nil
}

type defaultRoute struct{ link, mtu int }

func defaultRoutes(c *netlink.Conn, family uint8) ([]defaultRoute, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, 0)
	req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family}})
	req.AddData(nl.NewRtAttr(unix.RTA_TABLE, nl.Uint32Attr(unix.RT_TABLE_MAIN)))
	var list []defaultRoute
	err := c.Dump(req, func() { list = nil }, func(data []byte) error {
		m := nl.DeserializeRtMsg(data)
		if m.Dst_len != 0 || m.Type != unix.RTN_UNICAST || m.Table != unix.RT_TABLE_MAIN {
			return nil
		}
		attrs, err := netlink.Attributes(data[m.Len():])
		if err != nil {
			return err
		}
		r, oif := parseRoute(m, attrs)
		if oif != 0 {
			list = append(list, defaultRoute{oif, r.MTU})
		}
		for _, hop := range hops(attrs) {
			list = append(list, defaultRoute{hop.oif, r.MTU})
		}
		return nil
	})
	if errors.Is(err, unix.ENOENT) { // the family has no such table
		return nil, nil
	}
	return list, err
}
