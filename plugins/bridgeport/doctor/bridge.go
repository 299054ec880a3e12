package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
)

// maxPorts is BR_MAX_PORTS less the port number 0 (net/bridge/br_private.h).
const maxPorts = 1023

func bridgeChecks() []Check {
	return []Check{
		fails("bridge-missing", "each attachment's bridge exists",
			"its containers are cut off from everything", bridgeMissing),
		fails("bridge-down", "bridges with attachments are up and have carrier",
			"nothing on the bridge reaches anything", bridgeDown),
		fails("port-unplugged", "host links are up and plugged in",
			"the container is cut off", drifted),
		fails("gateway-missing", "bridges have their networks' gateways",
			"containers send everything beyond their subnet to an address that nobody has", gatewayMissing),
		warns("bridge-foreign-address", "bridges have no other addresses",
			"the host may answer from, or route to, a network that is not there", foreignAddress),
		fails("netmask-32", "subnets are longer than one address",
			"an address with /32 or /128 has no neighbours: the netmask was forgotten", lonely),
		warns("bridge-full", "bridges have room for more ports",
			"the next ADDs fail: a bridge has at most 1023 ports", bridgeFull),
		fails("accept-ra", "containers can't configure the host",
			"a container may send router advertisements and become the host's IPv6 gateway (CVE-2020-10749)", acceptRA),
		fails("subnet-overlap-network", "networks' subnets are disjoint",
			"replies to one network's containers go to the other's bridge", overlapNetworks),
		fails("subnet-overlap-route", "subnets do not overlap with the host's routes",
			"containers can't reach what is behind that route, or the host can't reach containers", overlapRoutes),
	}
}

func bridgeMissing(p *Patient) {
	for _, w := range p.Networks {
		if w.Bridge != "" && w.Attachments > 0 && p.Link(w.Bridge) == nil {
			p.tell("bridgeport repair", "bridge %s of network %s does not exist, but %s", w.Bridge, w.Name, show.Count(w.Attachments, "attachment"))
		}
	}
}

func bridgeDown(p *Patient) {
	for _, b := range p.bridges() {
		switch {
		case len(p.Ports(b)) == 0:
		case !b.Up:
			p.tell("ip link set "+b.Name+" up", "bridge %s with %s is down", b.Name, show.Count(len(p.Ports(b)), "port"))
		case !b.Carrier:
			p.tell("bridgeport repair   # ip -d link show master "+b.Name+" tells which ports are down", "bridge %s has %s, but no carrier", b.Name, show.Count(len(p.Ports(b)), "port"))
		}
	}
}

// wanted are the gateways of each range set that the network's bridge is to have: none of a
// bridge with a VLAN, whose gateway is on another link.
func wanted(w attachment.Network) (sets [][]netip.Prefix) {
	if w.Conf == nil || w.Conf.Vlan != 0 || !w.Conf.IsGateway {
		return nil
	}
	for _, set := range w.Sets {
		var list []netip.Prefix
		for _, r := range set {
			list = append(list, netip.PrefixFrom(r.Gateway, r.Subnet.Bits()))
		}
		sets = append(sets, list)
	}
	return sets
}

func gatewayMissing(p *Patient) {
	for _, w := range p.Networks {
		l := p.Link(w.Bridge)
		if l == nil || w.Attachments == 0 {
			continue
		}
		for _, set := range wanted(w) {
			// Of several ranges of one set only those in use have a gateway.
			if !slices.ContainsFunc(set, func(g netip.Prefix) bool { return l.Has(g.Addr()) }) {
				p.tell(fmt.Sprintf("ip address add %s dev %s", set[0], l.Name), "bridge %s of network %s lacks %s", l.Name, w.Name, set[0])
			}
		}
	}
}

func foreignAddress(p *Patient) {
	for _, b := range p.bridges() {
		var mine []netip.Prefix
		known := true
		for _, w := range p.Networks {
			if w.Bridge == b.Name {
				mine = append(mine, slices.Concat(wanted(w)...)...)
				known = known && len(w.Sets) > 0
			}
		}
		for _, a := range b.Addrs {
			if known && !a.Addr().IsLinkLocalUnicast() && !slices.Contains(mine, a) {
				p.tell(fmt.Sprintf("ip address del %s dev %s", a, b.Name), "bridge %s has %s, which is no gateway of its networks", b.Name, a)
			}
		}
	}
}

func lonely(p *Patient) {
	for _, b := range p.bridges() {
		for _, a := range b.Addrs {
			if a.IsSingleIP() {
				p.tell(fmt.Sprintf("ip address del %s dev %s && bridgeport repair", a, b.Name), "bridge %s has %s", b.Name, a)
			}
		}
	}
	for _, a := range p.inside() {
		for _, addr := range a.Inner.Addrs {
			if addr.IsSingleIP() {
				p.tell(fmt.Sprintf("give the network a subnet in its configuration, then replace the container (now: nsenter --net=%s ip address)", a.Netns),
					"%s has %s inside the container", a.Name(), addr)
			}
		}
	}
}

func bridgeFull(p *Patient) {
	for _, b := range p.bridges() {
		if n := len(p.Ports(b)); n*10 >= maxPorts*9 {
			p.tell("give new containers a network with another \"bridge\"; bridgeport gc removes what is dead", "bridge %s has %d of %d ports", b.Name, n, maxPorts)
		}
	}
}

func acceptRA(p *Patient) {
	for _, b := range p.bridges() {
		if v := node.Sysctl("net/ipv6/conf/" + b.Name + "/accept_ra"); v != "" && v != "0" && len(p.Ports(b)) > 0 {
			p.tell(fmt.Sprintf("sysctl -w net.ipv6.conf.%s.accept_ra=0", b.Name), "net.ipv6.conf.%s.accept_ra is %s", b.Name, v)
		}
	}
}

func overlapNetworks(p *Patient) {
	for i, w := range p.Networks {
		for _, o := range p.Networks[i+1:] {
			for _, a := range w.Subnets() {
				for _, b := range o.Subnets() {
					// On one bridge, and from one pool, it is on purpose.
					if a.Overlaps(b) && w.Bridge != o.Bridge {
						p.tell("give one of them another subnet: bridgeport lint "+strings.TrimSpace(w.File+" "+o.File),
							"network %s has %s on %s, network %s has %s on %s", w.Name, a, w.Bridge, o.Name, b, o.Bridge)
					}
				}
			}
		}
	}
}

func overlapRoutes(p *Patient) {
	for _, w := range p.Networks {
		own := []string{w.Bridge}
		if w.Conf != nil {
			own = append(own, link.VlanGatewayName(w.Bridge, w.Conf.Vlan))
		}
		for _, o := range p.Networks { // of these subnet-overlap-network tells
			own = append(own, o.Bridge)
		}
		for _, s := range w.Subnets() {
			for _, r := range p.Routes {
				if l := p.LinkAt(r.Link); r.Dst.Bits() != 0 && r.Dst.Overlaps(s) && l != nil && !slices.Contains(own, l.Name) {
					p.tell(fmt.Sprintf("give network %s another subnet, or the route another destination: ip route show %s", w.Name, r.Dst),
						"network %s has %s, and the host routes %s to %s", w.Name, s, r.Dst, l.Name)
				}
			}
		}
	}
}
