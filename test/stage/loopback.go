package stage

import (
	"net"

	"github.com/vishvananda/netlink"
)

// RouteLoopback makes the space send packets for 127.0.0.1 by a link to a next hop, with
// the link's own address as their source, as an attacker with root in there can. The
// space's own 127.0.0.1 is gone then.
func (s *Space) RouteLoopback(dev, via string) error {
	if err := s.SetSysctl("net/ipv4/conf/all/route_localnet", "1"); err != nil {
		return err
	}
	err := s.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.AddrDel(lo, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(127, 0, 0, 1), Mask: net.CIDRMask(8, 32)}}); err != nil {
			return err
		}
		l, err := netlink.LinkByName(dev)
		if err != nil {
			return err
		}
		addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_V4) })
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{
			LinkIndex: l.Attrs().Index, Gw: net.ParseIP(via), Src: addrs[0].IP,
			Dst: &net.IPNet{IP: net.IPv4(127, 0, 0, 1), Mask: net.CIDRMask(32, 32)},
		})
	})
	return s.errorf(err, "%s: route 127.0.0.1 by %s", dev, via)
}
