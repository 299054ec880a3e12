package bridge

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"
)

// inputs is all that a plan follows from. The same inputs give the same plan.
type inputs struct {
	conf   *Conf
	owner  plan.Owner
	facts  link.Facts // of the bridge
	ips    []*current.IPConfig
	routes []*types.Route
	mac    net.HardwareAddr // the container's; nil to choose one
	// changed says that a plugin after us gave the container another MAC address.
	changed bool
	// made is the MTU that ADD gave the container's link, in bytes. "mtu" of the configuration,
	// or of the host's way out, may be another by now. 0 in ADD.
	made int
	// remembered says that the host remembers another MAC address for an IPv4 address in ips.
	remembered bool
	// published is the part of the configuration about ports, ports is their plan.
	published *publish.Publication
	ports     plan.Plan
	egress    *ruleset.Policy                  // nil for anywhere
	inUse     func(netip.Prefix) (bool, error) // see link.Gateway; nil outside of ADD
	// vlanFacts are those of the VLAN's gateway link, for the result only.
	vlanFacts link.Facts
}

// address is one of the container's addresses with its way out.
type address struct {
	prefix  netip.Prefix
	gateway netip.Addr // invalid without one
}

func (in *inputs) addresses() []address {
	var list []address
	for _, ip := range in.ips {
		list = append(list, address{cni.Prefix(ip.Address), cni.Addr(ip.Gateway)})
	}
	return list
}

// prefixes are addresses without their ways out.
func (in *inputs) prefixes() []netip.Prefix {
	var addrs []netip.Prefix
	for _, a := range in.addresses() {
		addrs = append(addrs, a.prefix)
	}
	return addrs
}

// take puts the lease into the plan's inputs. It adds gateways where the IPAM plugin named
// none, the default route, and the container's MAC address.
func (in *inputs) take(lease *current.Result) {
	in.ips, in.routes = lease.IPs, lease.Routes
	for _, r := range in.routes {
		r.Dst = cni.IPNet(cni.Prefix(r.Dst).Masked()) // some IPAM plugins leave host bits in it
	}
	if in.conf.NoDefaultRoute {
		in.routes = slices.DeleteFunc(in.routes, func(r *types.Route) bool { return cni.Prefix(r.Dst).Bits() == 0 && inMain(r) })
	}
	for _, ip := range in.ips {
		ip.Interface = current.Int(2)
		if p := cni.Prefix(ip.Address).Masked(); ip.Gateway == nil && in.conf.IsGateway && p.Contains(p.Addr().Next()) {
			ip.Gateway = net.IP(p.Addr().Next().AsSlice())
		}
		if in.conf.IsDefaultGateway {
			in.defaultRoute(cni.Addr(ip.Gateway))
		}
	}
	if in.mac == nil {
		var first net.IP
		if len(in.ips) > 0 {
			first = in.ips[0].Address.IP
		}
		in.mac = in.owner.ContainerMAC(first)
	}
}

// fits is an error below 1,280 bytes with an IPv6 address: no IPv6 there (addrconf_notify).
func (in *inputs) fits() error {
	for _, a := range in.addresses() {
		if !a.prefix.Addr().Is4() && in.mtu() < minMTU6 {
			return cni.Errorf(cni.CodeConfig, "mtu: %d is below %d bytes, which the IPv6 address %s needs", in.mtu(), minMTU6, a.prefix.Addr())
		}
	}
	return nil
}

// gatewaysWork is an error for a gateway that is used and can't work: it is missing, it is the
// container's own address, or the container can't reach it on its link.
func (in *inputs) gatewaysWork() error {
	addrs := in.addresses()
	var used []netip.Addr
	for _, r := range in.routes {
		used = append(used, in.route(r, addrs).Gw)
	}
	for _, a := range addrs {
		if in.conf.IsGateway && !a.gateway.IsValid() {
			return cni.Errorf(cni.CodeConfig, "ipam: gateway: missing, and the subnet of address %s has no room for one: name one with a route to it of \"scope\": 253, or give the address a shorter prefix", a.prefix)
		}
		if in.conf.IsGateway {
			used = append(used, a.gateway)
		}
	}
	for _, gw := range used {
		switch {
		case slices.Contains(addrsOf(in.prefixes()), gw):
			return cni.Errorf(cni.CodeConfig, "ipam: gateway: %s is the container's own address: name another gateway, or give the container another address", gw)
		case gw.IsValid() && !in.reaches(gw):
			return cni.Errorf(cni.CodeConfig, "ipam: gateway: %s is in no subnet of the container %s: name one that is, or add the route {\"dst\": \"%s\", \"scope\": 253}",
				gw, in.prefixes(), netip.PrefixFrom(gw, gw.BitLen()))
		}
	}
	return nil
}

// reaches says whether the container finds the address on its link: in a subnet of its own, by a
// route without a gateway, or because it is link-local (IPv6).
func (in *inputs) reaches(gw netip.Addr) bool {
	return in.onLink(gw) || gw.Is6() && gw.IsLinkLocalUnicast() || slices.ContainsFunc(in.routes, func(r *types.Route) bool {
		k := in.route(r, in.addresses())
		return !k.Gw.IsValid() && k.Dst.Contains(gw)
	})
}

// complete puts lease and ports into the inputs. An error names the address or port that does not
// fit.
func (in *inputs) complete(lease *current.Result) error {
	in.take(lease)
	return errors.Join(in.fits(), in.gatewaysWork(), in.confine(lease.DNS), in.publish())
}

// publish plans the ports. The precondition is the container's addresses.
func (in *inputs) publish() (err error) {
	in.ports, err = in.published.PlanBehind(in.prefixes(), in.towards())
	return err
}

func (in *inputs) towards() link.Towards {
	out := in.conf.outLink()
	return link.Towards{Link: out, Bridge: out == in.conf.Bridge}
}

// defaultRoute adds one through gw, unless the IPAM plugin gave one for the family.
func (in *inputs) defaultRoute(gw netip.Addr) {
	if !gw.IsValid() {
		return
	}
	for _, r := range in.routes {
		if p := cni.Prefix(r.Dst); p.Bits() == 0 && p.Addr().Is4() == gw.Is4() && inMain(r) {
			return
		}
	}
	all := netip.PrefixFrom(gw, 0).Masked()
	in.routes = append(in.routes, &types.Route{Dst: cni.IPNet(all), GW: gw.AsSlice()})
}

func inMain(r *types.Route) bool {
	return r.Table == nil || *r.Table == 0 || *r.Table == unix.RT_TABLE_MAIN
}

func (in inputs) result(req *cni.Request, dns types.DNS) *current.Result {
	if !in.conf.DNS.IsEmpty() {
		dns = in.conf.DNS
	}
	res := &current.Result{
		CNIVersion: current.ImplementedSpecVersion,
		Interfaces: []*current.Interface{
			{Name: in.conf.Bridge, Mac: in.facts.MAC.String(), Mtu: in.facts.MTU},
			{Name: in.owner.LinkName(), Mac: in.owner.HostMAC().String(), Mtu: in.mtu()},
			{Name: in.owner.IfName, Mac: in.mac.String(), Mtu: in.mtu(), Sandbox: req.Netns},
		},
		IPs: in.ips, Routes: in.routes, DNS: dns,
	}
	if in.vlanFacts.MAC != nil {
		res.Interfaces = append(res.Interfaces, &current.Interface{
			Name: in.conf.outLink(), Mac: in.vlanFacts.MAC.String(), Mtu: in.vlanFacts.MTU,
		})
	}
	return res
}

// takePrevious rebuilds the plan's inputs from the result of ADD. Plugins after us may have
// added interfaces and addresses, and changed the container's MAC address.
func (in *inputs) takePrevious(prev *current.Result) error {
	index := -1
	for i, link := range prev.Interfaces {
		if link.Name == in.owner.IfName && link.Sandbox != "" {
			index = i
		}
	}
	if index < 0 {
		return cni.Errorf(cni.CodeConfig, "prevResult: no interface %s with a sandbox in it", in.owner.IfName)
	}
	in.mac = nil
	if text := prev.Interfaces[index].Mac; text != "" { // results of 0.2.0 and before have none
		var err error
		if in.mac, err = net.ParseMAC(text); err != nil {
			return cni.Errorf(cni.CodeConfig, "prevResult: interface %s: %q is not a MAC address", in.owner.IfName, text)
		}
	}
	// Another network may have changed the bridge's MTU since ADD.
	in.facts.MTU, in.made = prev.Interfaces[index].Mtu, prev.Interfaces[index].Mtu
	for _, ip := range prev.IPs {
		if ip.Interface == nil || *ip.Interface == index {
			in.ips = append(in.ips, ip)
		}
	}
	in.changed = !in.gave(in.mac)
	for _, r := range prev.Routes {
		if gw := cni.Addr(r.GW); !gw.IsValid() || in.onLink(gw) || slices.ContainsFunc(in.addresses(), func(a address) bool { return a.gateway == gw }) {
			in.routes = append(in.routes, r)
		}
	}
	return nil
}

// gave says whether the MAC address is one that ADD gives.
func (in *inputs) gave(mac net.HardwareAddr) bool {
	given := []net.HardwareAddr{in.conf.MAC, in.owner.ContainerMAC(nil)}
	if len(in.ips) > 0 {
		given = append(given, in.owner.ContainerMAC(in.ips[0].Address.IP))
	}
	return slices.ContainsFunc(given, func(g net.HardwareAddr) bool { return bytes.Equal(g, mac) })
}

func (in *inputs) onLink(gw netip.Addr) bool {
	return slices.ContainsFunc(in.prefixes(), func(p netip.Prefix) bool { return p.Masked().Contains(gw) })
}
