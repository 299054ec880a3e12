package bridge

import (
	"net"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// inputs is all that a plan follows from. The same inputs give the same plan.
type inputs struct {
	conf   *Conf
	owner  kernel.Owner
	facts  kernel.Facts // of the bridge
	ips    []*current.IPConfig
	routes []*types.Route
	mac    net.HardwareAddr // the container's; nil to choose one
	// changed says that a plugin after us gave the container another MAC address.
	changed bool
	ports   kernel.Plan                      // of the ports that we publish ourselves
	inUse   func(netip.Prefix) (bool, error) // see kernel.Gateway; nil outside of ADD
	// vlanFacts are of the VLAN's gateway link, once it is made; the plan has no need
	// of them.
	vlanFacts kernel.Facts
}

// address is one of the container's addresses with its way out.
type address struct {
	prefix  netip.Prefix
	gateway netip.Addr // invalid without one
}

func (in inputs) addresses() []address {
	var list []address
	for _, ip := range in.ips {
		list = append(list, address{cni.Prefix(ip.Address), cni.Addr(ip.Gateway)})
	}
	return list
}

// plan is everything that exists for an attachment after ADD; CHECK compares it,
// and it is the only place that says so.
func (in inputs) plan() kernel.Plan {
	addrs, owned := in.addresses(), in.owned()
	return kernel.Plan{
		Before: in.ports.Before,
		Shared: slices.Concat(in.shared(addrs), in.ports.Shared),
		Link:   in.link(owned),
		Bounds: append(in.frameRules(), owned.Bounds()...),
		Own:    append(in.inside(addrs), in.ports.Own...),
	}
}

// owned is what the attachment owns, as the configuration wants it.
func (in inputs) owned() kernel.Owned {
	c, owned := in.conf, kernel.OwnedBy(in.owner, nil)
	owned.Veth = kernel.Veth{
		Owner: in.owner, IfName: in.owner.IfName, Master: c.Bridge, MTU: in.mtu(), MAC: in.mac,
		Hairpin: c.Hairpin, Isolated: c.Isolated, IfDown: c.IfDown, Static: c.routed(),
	}
	if c.dropsControl() {
		owned.Veth.Group = nft.ContainerGroup
	}
	if c.MACGuard {
		owned.SpoofCheck.MAC, owned.SpoofCheck.IPs = in.mac, c.Bound
	}
	owned.Restriction.Connections = c.MaxConnections
	if c.HideFromLan {
		owned.Restriction.Link = in.outLink()
	}
	owned.Masquerade.Exclude, owned.MasqueradeIPTables.Exclude = c.MasqExclude, c.MasqExclude
	for _, a := range in.addresses() {
		owned.SpoofCheck.Addrs = append(owned.SpoofCheck.Addrs, a.prefix.Addr())
		owned.Restriction.Addrs = append(owned.Restriction.Addrs, a.prefix)
		switch {
		case !c.IPMasq:
		case c.IPTables:
			owned.MasqueradeIPTables.Addrs = append(owned.MasqueradeIPTables.Addrs, a.prefix)
		default:
			owned.Masquerade.Addrs = append(owned.Masquerade.Addrs, a.prefix)
		}
	}
	return owned
}

// link is the container's link and its port.
func (in inputs) link(owned kernel.Owned) []kernel.Object {
	list := []kernel.Object{owned.Veth}
	if in.conf.Vlans && (in.conf.Vlan != 0 || len(in.conf.Trunk) > 0) {
		list = append(list, in.conf.port(in.owner.LinkName()))
	}
	return list
}

// frameRules are what the spoof check of the port stands on.
func (in inputs) frameRules() []kernel.Object {
	if !in.conf.MACGuard {
		return nil
	}
	return []kernel.Object{kernel.FrameRules{}}
}

// early is what an IPAM plugin that asks on the network itself, such as dhcp, needs
// to be there: the link, up, which may send nothing but the question for an address. late
// is what follows.
func (in inputs) early() kernel.Plan {
	owned := in.owned()
	return kernel.Plan{
		Shared: in.shared(nil), Link: in.link(owned), Bounds: append(in.frameRules(), owned.SpoofCheck),
		Own: append([]kernel.Object{kernel.LinkUp{IfName: in.owner.IfName}}, in.ready()...),
	}
}

func (in inputs) late() kernel.Plan {
	p := in.plan()
	// The spoof check is early's, here with the addresses: it goes with the link.
	p.Shared = slices.Concat(p.Shared, p.Bounds[:len(in.frameRules())+1])
	p.Link, p.Bounds = nil, p.Bounds[len(in.frameRules())+1:]
	return p
}

// ready is what follows as soon as the port carries packets.
func (in inputs) ready() []kernel.Object {
	list := []kernel.Object{kernel.PortReady(in.owner)}
	if in.conf.routed() {
		list = append(list, kernel.FDBEntry{
			Owner: in.owner, Bridge: in.conf.Bridge, MAC: in.mac, VLAN: in.conf.Vlan, Asked: in.conf.MAC != nil, Changed: in.changed,
		})
	}
	if in.conf.dropsControl() && !in.conf.MACGuard {
		// They are there, save for the host's first container: no reason to ask before.
		list = append(list, kernel.FrameRules{Optional: true})
	}
	return list
}

func (in inputs) mtu() int {
	if in.conf.MTU > 0 {
		return in.conf.MTU
	}
	return in.facts.MTU
}

// shared is the bridge and, for a gateway, what makes it one.
func (in inputs) shared(addrs []address) []kernel.Object {
	c := in.conf
	list := []kernel.Object{kernel.Bridge{Name: c.Bridge, MTU: c.MTU, Promisc: c.Promisc, Vlans: c.Vlans}}
	if gateways := in.gateways(addrs); c.IsGateway && len(gateways) > 0 {
		if c.Vlan != 0 {
			list = append(list, in.vlanGateway())
		}
		families := map[bool]bool{}
		for _, g := range gateways {
			list = append(list, kernel.Gateway{Link: in.outLink(), Prefix: g, Force: c.ForceAddress, Also: gateways, InUse: in.inUse})
			families[g.Addr().Is4()] = true
		}
		for _, is4 := range []bool{true, false} {
			if families[is4] {
				list = append(list, kernel.Forwarding{Bridge: c.Bridge, IPv6: !is4})
			}
		}
	}
	// A container must not be able to configure the host by router advertisements
	// (CVE-2020-10749), whoever made the bridge. After the gateway, which may refuse a
	// bridge of somebody else.
	list = append(list, kernel.Sysctl{Key: "net/ipv6/conf/" + c.Bridge + "/accept_ra", Value: "0", Optional: true})
	if c.ForwardAccept {
		list = append(list, kernel.ForwardAccept{Bridge: in.outLink()})
		if in.outLink() != c.Bridge { // frames on their way there pass it, too, under br_netfilter
			list = append(list, kernel.ForwardAccept{Bridge: c.Bridge})
		}
	}
	if c.IPMasq && !c.IPTables && len(addrs) > 0 {
		list = append(list, kernel.Rules{})
	}
	if c.HideFromLan || c.MaxConnections > 0 {
		list = append(list, kernel.TrafficRules{})
	}
	return list
}

func (in inputs) vlanGateway() kernel.VlanGateway {
	return kernel.VlanGateway{Bridge: in.conf.Bridge, VID: in.conf.Vlan, MTU: in.mtu()}
}

// lookVlan reads what the result says of the VLAN's gateway, if there is one.
func (in *inputs) lookVlan(s *kernel.Session) (err error) {
	if in.conf.Vlan != 0 && in.conf.IsGateway && len(in.gateways(in.addresses())) > 0 {
		in.vlanFacts, err = in.vlanGateway().Facts(s)
	}
	return err
}

// outLink is the host's link that the container's packets come in by.
func (in inputs) outLink() string {
	if in.conf.Vlan != 0 && in.conf.IsGateway {
		return kernel.VlanGatewayName(in.conf.Bridge, in.conf.Vlan)
	}
	return in.conf.Bridge
}

// gateways are the bridge's addresses, each once.
func (in inputs) gateways(addrs []address) []netip.Prefix {
	list := slices.Clone(in.conf.Gateways)
	for _, a := range addrs {
		p := netip.PrefixFrom(a.gateway, a.prefix.Bits())
		if a.gateway.IsValid() && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}
