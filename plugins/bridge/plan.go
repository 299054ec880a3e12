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
	addrs := in.addresses()
	return kernel.Plan{
		Shared: slices.Concat(in.shared(addrs), in.ports.Shared),
		Own:    slices.Concat(in.links(), in.rest(addrs)),
	}
}

// links are the container's link and its port.
func (in inputs) links() []kernel.Object {
	c := in.conf
	veth := kernel.Veth{
		Owner: in.owner, IfName: in.owner.IfName, Master: c.Bridge, MTU: in.mtu(), MAC: in.mac,
		Hairpin: c.Hairpin, Isolated: c.Isolated, IfDown: c.IfDown, Static: c.routed(),
	}
	if c.dropsControl() {
		veth.Group = nft.ContainerGroup
	}
	return append([]kernel.Object{veth}, in.port()...)
}

func (in inputs) rest(addrs []address) []kernel.Object {
	return slices.Concat(in.restricted(addrs), in.inside(addrs), in.masquerade(addrs), in.ports.Own)
}

// early is what an IPAM plugin that asks on the network itself, such as dhcp, needs
// to be there: the link, up. late is what follows.
func (in inputs) early() kernel.Plan {
	return kernel.Plan{
		Shared: in.shared(nil),
		Own:    slices.Concat(in.links(), []kernel.Object{kernel.LinkUp{IfName: in.owner.IfName}}, in.ready()),
	}
}

func (in inputs) late() kernel.Plan {
	addrs := in.addresses()
	// The guard is early's, here with the addresses: it goes with the link.
	shared := append(slices.Concat(in.shared(addrs), in.ports.Shared), in.guard())
	return kernel.Plan{Shared: shared, Own: in.rest(addrs)}
}

// port is what makes the container's port more than a plain one.
func (in inputs) port() []kernel.Object {
	var list []kernel.Object
	if in.conf.Vlans && (in.conf.Vlan != 0 || len(in.conf.Trunk) > 0) {
		list = append(list, in.conf.port(in.owner.LinkName()))
	}
	if in.conf.MACGuard {
		list = append(list, kernel.FrameRules{})
	}
	return append(list, in.guard())
}

// ready is what follows as soon as the port carries packets.
func (in inputs) ready() []kernel.Object {
	list := []kernel.Object{kernel.PortReady{Owner: in.owner}}
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

// restricted comes before the container's link is up. As masquerade it is listed in
// any case.
func (in inputs) restricted(addrs []address) []kernel.Object {
	r := kernel.Restriction{Owner: in.owner, Connections: in.conf.MaxConnections}
	if in.conf.HideFromLan {
		r.Link = in.outLink()
	}
	for _, a := range addrs {
		r.Addrs = append(r.Addrs, a.prefix)
	}
	return []kernel.Object{r}
}

// guard is what the port may send from. Its addresses are not known early; then it
// lets nothing through but the question for one.
func (in inputs) guard() kernel.Guard {
	guard := kernel.Guard{Owner: in.owner}
	if !in.conf.MACGuard {
		return guard
	}
	guard.MAC, guard.Bound = in.mac, in.conf.Bound
	for _, a := range in.addresses() {
		guard.Addrs = append(guard.Addrs, a.prefix.Addr())
	}
	return guard
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
func (in *inputs) lookVlan(h *kernel.Host) (err error) {
	if in.conf.Vlan != 0 && in.conf.IsGateway && len(in.gateways(in.addresses())) > 0 {
		in.vlanFacts, err = in.vlanGateway().Facts(h)
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

// masquerade is listed in any case, so that DEL removes what an older
// configuration made.
func (in inputs) masquerade(addrs []address) []kernel.Object {
	byNFT := kernel.Masquerade{Owner: in.owner, Exclude: in.conf.MasqExclude}
	byIPTables := kernel.MasqueradeIPTables{Owner: in.owner, Exclude: in.conf.MasqExclude}
	for _, a := range addrs {
		switch {
		case !in.conf.IPMasq:
		case in.conf.IPTables:
			byIPTables.Addrs = append(byIPTables.Addrs, a.prefix)
		default:
			byNFT.Addrs = append(byNFT.Addrs, a.prefix)
		}
	}
	return []kernel.Object{byNFT, byIPTables}
}
