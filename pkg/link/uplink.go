package link

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ErrNoUplink says that the host has no default route.
var ErrNoUplink = errors.New("the host has no default route")

// UplinkMTU is the smallest MTU, in bytes, on the host's ways out: of the links of the default
// routes of both families, and of these routes themselves.
func UplinkMTU(s *plan.Session) (int, error) {
	smallest := math.MaxInt
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		routes, err := defaultRoutes(s.Host, family)
		if err != nil {
			return 0, fmt.Errorf("list default routes: %w", err)
		}
		for _, r := range routes {
			link, err := s.Host.LinkByIndex(r.link)
			if err != nil {
				return 0, fmt.Errorf("link of the default route: %w", err)
			}
			smallest = min(smallest, link.MTU, cmp.Or(r.mtu, link.MTU))
		}
	}
	if smallest == math.MaxInt {
		return 0, ErrNoUplink
	}
	return smallest, nil
}

type defaultRoute struct{ link, mtu int }

func defaultRoutes(c *netlink.Conn, family int) (list []defaultRoute, err error) {
	err = eachRoute(c, family, unix.RT_TABLE_MAIN, func() { list = nil }, func(m *nl.RtMsg, r Route, oif int, more []hop) {
		if m.Dst_len != 0 || m.Type != unix.RTN_UNICAST || m.Table != unix.RT_TABLE_MAIN {
			return
		}
		for _, hop := range append(more, hop{oif: oif}) {
			if hop.oif != 0 {
				list = append(list, defaultRoute{hop.oif, r.MTU})
			}
		}
	})
	return list, err
}
