package bridge

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/owned"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// plan is everything that exists for an attachment after ADD. ADD makes it, CHECK compares it.
func (in *inputs) plan() plan.Plan {
	addrs, own := in.addresses(), in.own()
	return plan.Plan{
		Before: in.ports.Before,
		Shared: slices.Concat(in.shared(addrs), in.ports.Shared),
		Link:   in.link(own),
		Bounds: append(in.boundRules(), own.Bounds()...),
		Own:    append(in.inside(addrs), in.ports.Own...),
	}
}

func (in *inputs) own() owned.All {
	c, own := in.conf, owned.By(in.owner, nil)
	own.Veth = link.Veth{
		Owner: in.owner, IfName: in.owner.IfName, Master: c.Bridge, MTU: in.mtu(), MAC: in.mac,
		Hairpin: c.HairpinMode, Isolated: c.PortIsolation, IfDown: c.DisableContainerInterface, Static: c.routed(),
	}
	if c.dropsControl() {
		own.Veth.Group = ruleset.ContainerGroup
	}
	if c.MacSpoofChk {
		own.SpoofCheck.MAC, own.SpoofCheck.IPs = in.mac, c.IPSpoofChk
	}
	own.Restriction.Connections, own.Restriction.Isolation = c.MaxConnections, c.Isolation
	own.Restriction.Links, own.Restriction.Hidden = c.links(), c.IsolateFromLan
	own.Egress.Policy, own.Egress.Link, own.Egress.MAC = in.egress, c.outLink(), in.mac
	own.Masquerade.Exclude, own.MasqueradeIPTables.Exclude = c.MasqueradeExclude, c.MasqueradeExclude
	for _, a := range in.addresses() {
		own.SpoofCheck.Addrs = append(own.SpoofCheck.Addrs, a.prefix.Addr())
		own.Restriction.Addrs = append(own.Restriction.Addrs, a.prefix)
		own.Egress.Addrs = append(own.Egress.Addrs, a.prefix)
		switch {
		case !c.IPMasq:
		case c.IPTables:
			own.MasqueradeIPTables.Addrs = append(own.MasqueradeIPTables.Addrs, a.prefix)
		default:
			own.Masquerade.Addrs = append(own.Masquerade.Addrs, a.prefix)
		}
	}
	return own
}

func (in *inputs) link(own owned.All) []plan.Object {
	list := []plan.Object{own.Veth}
	if in.conf.Vlans && (in.conf.Vlan != 0 || len(in.conf.VlanTrunk) > 0) {
		list = append(list, in.conf.port(in.owner.LinkName()))
	}
	return list
}

// boundRules are what the rules for the port's packets stand on: one commit makes both.
func (in *inputs) boundRules() (list []plan.Object) {
	c := in.conf
	if c.MacSpoofChk {
		list = append(list, firewall.FrameRules{})
	}
	if isolated := c.Isolation != firewall.NotIsolated; isolated || c.IsolateFromLan || c.MaxConnections > 0 {
		list = append(list, firewall.TrafficRules{Isolation: isolated})
	}
	if c.Egress != nil {
		list = append(list, firewall.EgressRules{})
	}
	return list
}

// early is the part of the plan that an IPAM plugin needs which asks on the network, such as
// dhcp: the link is up, and may send nothing but the question for an address.
func (in *inputs) early() plan.Plan {
	own := in.own()
	if in.conf.Egress != nil { // the lists may name resolvers that come with the lease
		own.Egress.Policy = &ruleset.Policy{Deny: true}
	}
	return plan.Plan{
		Shared: in.shared(nil), Link: in.link(own), Bounds: append(in.boundRules(), own.SpoofCheck, own.Egress),
		Own: append([]plan.Object{link.LinkUp{IfName: in.owner.IfName}}, in.ready()...),
	}
}

func (in *inputs) late() plan.Plan {
	p := in.plan()
	// The spoof check and egress of early get the addresses. The undo of early removes them.
	early := len(in.boundRules()) + 2
	p.Shared = slices.Concat(p.Shared, p.Bounds[:early])
	p.Link, p.Bounds = nil, p.Bounds[early:]
	return p
}

// ready is what follows as soon as the port carries packets.
func (in *inputs) ready() []plan.Object {
	list := []plan.Object{link.PortReady(in.owner)}
	if in.conf.routed() {
		list = append(list, link.FDBEntry{
			Owner: in.owner, Bridge: in.conf.Bridge, MAC: in.mac, VLAN: in.conf.Vlan, Changed: in.changed,
		})
	}
	if in.conf.dropsControl() && !in.conf.MacSpoofChk {
		// The rules exist, save for the host's first container. To ask before would cost more.
		list = append(list, firewall.FrameRules{Optional: true})
	}
	return list
}

func (in *inputs) mtu() int {
	return cmp.Or(in.made, in.conf.MTU, in.facts.MTU)
}

// shared is the bridge and, for a gateway, what makes it one.
func (in *inputs) shared(addrs []address) []plan.Object {
	c := in.conf
	mtu := c.MTU
	if in.made != 0 && in.made != mtu {
		mtu = 0 // the next ADD changes the bridge
	}
	list := []plan.Object{link.Bridge{Name: c.Bridge, MTU: mtu, Promisc: c.PromiscMode, Vlans: c.Vlans, Gateway: c.IsGateway}}
	if gateways := in.gateways(addrs); c.IsGateway && len(gateways) > 0 {
		if c.Vlan != 0 {
			list = append(list, in.vlanGateway())
		}
		for _, g := range gateways {
			list = append(list, link.Gateway{Link: c.outLink(), Prefix: g, Force: c.ForceAddress, Also: gateways, InUse: in.inUse})
		}
		list = append(list, in.forwarding(gateways)...)
	}
	// A container must not be able to configure the host by router advertisements
	// (CVE-2020-10749). On somebody else's bridge they may be the host's own way out, and the
	// rules for containers' frames drop what a container sends.
	if !in.facts.Foreign {
		list = append(list, link.Sysctl{Key: "net/ipv6/conf/" + c.Bridge + "/accept_ra", Value: "0", Optional: true})
	}
	if c.ForwardAccept {
		list = append(list, foreign.ForwardAccept{Bridge: c.outLink()})
		if c.outLink() != c.Bridge { // under br_netfilter frames to the VLAN's link pass the bridge's rules
			list = append(list, foreign.ForwardAccept{Bridge: c.Bridge})
		}
	}
	if c.IPMasq && !c.IPTables && len(addrs) > 0 {
		list = append(list, firewall.Rules{})
	}
	return list
}

// forwarding makes the host a router for the families of its gateways, on a bridge of ours, too:
// what sets up the host's links may have switched it off there (systemd-networkd).
func (in *inputs) forwarding(gateways []netip.Prefix) (list []plan.Object) {
	for _, family := range []string{"ipv4", "ipv6"} {
		is4 := family == "ipv4"
		if !slices.ContainsFunc(gateways, func(g netip.Prefix) bool { return g.Addr().Is4() == is4 }) {
			continue
		}
		list = append(list, link.Forwarding{Bridge: in.conf.Bridge, IPv6: !is4})
		if !in.facts.Foreign {
			list = append(list, link.Sysctl{Key: "net/" + family + "/conf/" + in.conf.outLink() + "/forwarding", Value: "1"})
		}
	}
	return list
}

func (in *inputs) vlanGateway() link.VlanGateway {
	return link.VlanGateway{Bridge: in.conf.Bridge, VID: in.conf.Vlan, MTU: in.mtu()}
}

// lookAfter reads what the result says of the VLAN's gateway, if there is one, and of a bridge that
// may have taken its MAC address from the container's port.
func (in *inputs) lookAfter(s *plan.Session) (err error) {
	if in.facts.Foreign && !in.conf.IsGateway {
		var after link.Facts
		after, err = (link.Bridge{Name: in.conf.Bridge}).Facts(s)
		in.facts.MAC = after.MAC
	}
	if err == nil && in.conf.Vlan != 0 && in.conf.IsGateway && len(in.gateways(in.addresses())) > 0 {
		in.vlanFacts, err = in.vlanGateway().Facts(s)
	}
	return err
}

// outLink is the host's link that the container's packets come in by.
func (c *Conf) outLink() string {
	if c.Vlan != 0 && c.IsGateway {
		return link.VlanGatewayName(c.Bridge, c.Vlan)
	}
	return c.Bridge
}

// links are the bridge and outLink: with br_netfilter a frame that stays in its VLAN comes in by the bridge.
func (c *Conf) links() []string { return slices.Compact([]string{c.Bridge, c.outLink()}) }

// gateways are the bridge's addresses, each once.
func (in *inputs) gateways(addrs []address) []netip.Prefix {
	list := slices.Clone(in.conf.Gateways)
	for _, a := range addrs {
		p := netip.PrefixFrom(a.gateway, a.prefix.Bits())
		if a.gateway.Is6() && a.gateway.IsLinkLocalUnicast() {
			p = netip.PrefixFrom(a.gateway, 64) // whatever the container's subnet: the bridge has the address once
		}
		if a.gateway.IsValid() && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}
