package bridge

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"
)

// take puts the lease into the plan's inputs. It adds gateways where the IPAM plugin named
// none, the default route, and the container's MAC address.
func (in *inputs) take(lease *current.Result) {
	in.ips, in.routes = lease.IPs, lease.Routes
	if in.conf.NoDefaultRoute {
		in.routes = slices.DeleteFunc(in.routes, func(r *types.Route) bool { return cni.Prefix(r.Dst).Bits() == 0 && inMain(r) })
	}
	for _, ip := range in.ips {
		ip.Interface = current.Int(2)
		if ip.Gateway == nil && in.conf.IsGateway {
			ip.Gateway = net.IP(cni.Prefix(ip.Address).Masked().Addr().Next().AsSlice())
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

// fits is an error if the MTU is too small for an IPv6 address: below 1,280 bytes the kernel
// has no IPv6 on a link (addrconf_notify).
func (in *inputs) fits() error {
	for _, a := range in.addresses() {
		if !a.prefix.Addr().Is4() && in.mtu() < minMTU6 {
			return cni.Errorf(cni.CodeConfig, "mtu: %d is below %d bytes, which the IPv6 address %s needs", in.mtu(), minMTU6, a.prefix.Addr())
		}
	}
	return nil
}

// complete puts lease and ports into the plan's inputs. An error names the address or port
// that does not fit.
func (in *inputs) complete(lease *current.Result) error {
	in.take(lease)
	return errors.Join(in.fits(), in.publish())
}

// publish plans the ports. The precondition is the container's addresses.
func (in *inputs) publish() (err error) {
	in.ports, err = in.published.PlanBehind(in.prefixes(), in.towards())
	return err
}

// towards is the host's link towards the container.
func (in *inputs) towards() link.Towards {
	out := in.conf.outLink()
	return link.Towards{Link: out, Bridge: out == in.conf.Bridge}
}

// defaultRoute adds a default route through gw, unless the IPAM plugin gave one for the
// family.
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

// inMain says whether the route is in table main.
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
