package bridge

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// inside is the objects in the container's namespace. IPv4 addresses come before the link is
// up, so that the kernel announces them then (arp_notify). IPv6 addresses come afterwards: the
// kernel announces each that becomes valid on a link that is up (ndisc_notify).
func (in *inputs) inside(addrs []address) []plan.Object {
	c, ifName := in.conf, in.owner.IfName
	if c.DisableContainerInterface {
		return nil
	}
	var before, after []plan.Object
	for _, a := range addrs {
		o := link.Addr{IfName: ifName, Prefix: a.prefix}
		if a.prefix.Addr().Is4() {
			before = append(before, o)
		} else {
			after = append(after, o)
		}
	}
	settings, up := in.sysctls(len(before) > 0, len(after) > 0), []plan.Object{link.LinkUp{IfName: ifName}}
	if !in.announces(addrs) {
		before, up = up, before // the kernel announces what is there when the link comes up
	}
	list := slices.Concat(settings, before, up, after)
	list = append(list, in.ready()...)
	if len(after) > 0 {
		list = append(list, link.AddressesReady(ifName))
	}
	for _, r := range in.routes {
		list = append(list, in.route(r, addrs))
	}
	return list
}

// cosmetic settings speed things up, and protect nobody.
var cosmetic = map[string]bool{"keep_addr_on_down": true, "ndisc_notify": true}

func (in *inputs) sysctls(v4, v6 bool) []plan.Object {
	var list link.Inside
	set := func(family, key, value string) {
		list = append(list, link.Sysctl{Key: "net/" + family + "/conf/" + in.owner.IfName + "/" + key, Value: value, Optional: family == "ipv6" && !v6, Cosmetic: cosmetic[key]})
	}
	if v4 {
		// A plugin after us, such as tuning, may change the MAC address, which is announced then.
		set("ipv4", "arp_notify", "1")
		// Nothing on the network may change a container's routes. While the container is no
		// router the kernel takes redirects if either setting allows them (IN_DEV_RX_REDIRECTS).
		set("ipv4", "accept_redirects", "0")
		list = append(list, link.Sysctl{Key: "net/ipv4/conf/all/accept_redirects", Value: "0"})
	}
	switch {
	case v6:
		list = append(list, link.Sysctl{Key: "net/ipv6/conf/lo/disable_ipv6", Value: "0"})
		set("ipv6", "disable_ipv6", "0")
		set("ipv6", "keep_addr_on_down", "1")
		set("ipv6", "ndisc_notify", "1")
		set("ipv6", "accept_dad", map[bool]string{false: "0", true: "1"}[in.conf.EnableDad])
		set("ipv6", "accept_ra", "0")
		set("ipv6", "accept_redirects", "0")
	case v4 && !in.conf.EnableIPv6LinkLocal:
		// IPv4 alone: no link-local address that nobody knows of (CVE-2024-32473).
		set("ipv6", "disable_ipv6", "1")
	}
	if len(list) == 0 {
		return nil
	}
	return []plan.Object{list}
}

// announces says whether neighbours may remember another MAC address for the container's
// IPv4 addresses. Where the MAC address follows from the only IPv4 address
// (Owner.ContainerMAC) the host's own memory tells: a container before this one had the
// address by another plugin, or a MAC address that was asked for. Each container on the
// bridge gets an announcement: with 600 containers that took a tenth of an ADD's CPU.
func (in *inputs) announces(addrs []address) bool {
	var v4 []netip.Addr
	for _, a := range addrs {
		if a.prefix.Addr().Is4() {
			v4 = append(v4, a.prefix.Addr())
		}
	}
	follows := len(v4) == 1 && bytes.Equal(in.mac, in.owner.ContainerMAC(v4[0].AsSlice()))
	return len(v4) > 0 && (!follows || in.remembered)
}

// neighbours says whether the host remembers another MAC address for an IPv4 address of the
// container. The host is asked where the container's MAC address follows from its address:
// otherwise the container announces itself in any case.
func (in *inputs) neighbours(s *plan.Session) (bool, error) {
	if !in.conf.routed() || in.conf.DisableContainerInterface || in.conf.MAC != nil {
		return false, nil
	}
	for _, a := range in.addresses() {
		if !a.prefix.Addr().Is4() {
			continue
		}
		mac, err := link.Neighbour(s, in.conf.outLink(), a.prefix.Addr())
		if err != nil {
			return false, err
		}
		if mac != nil && !bytes.Equal(mac, in.mac) {
			return true, nil
		}
	}
	return false, nil
}

// route is a route of the lease: by its own gateway, else the family's first, or none (scope link).
func (in *inputs) route(r *types.Route, addrs []address) link.Route {
	k := link.Route{
		IfName: in.owner.IfName, Dst: cni.Prefix(r.Dst), Gw: cni.Addr(r.GW),
		MTU: r.MTU, AdvMSS: r.AdvMSS, Priority: cmp.Or(r.Priority, in.conf.RouteMetric),
	}
	if r.Table != nil {
		k.Table = *r.Table
	}
	if r.Scope != nil {
		k.Scope = *r.Scope
	}
	if k.Gw.IsValid() || k.Scope >= unix.RT_SCOPE_LINK {
		return k
	}
	for _, a := range addrs {
		if a.gateway.IsValid() && a.prefix.Addr().Is4() == k.Dst.Addr().Is4() {
			k.Gw = a.gateway
			break
		}
	}
	return k
}
