package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// maxPorts is BR_MAX_PORTS less the port number 0 (net/bridge/br_private.h).
const maxPorts = 1023

func bridgeChecks() []Check {
	return []Check{
		{
			"bridge-missing", "each attachment's bridge exists", Fail,
			"its containers are cut off from everything",
			bridgeMissing,
		},
		{
			"bridge-down", "bridges with attachments are up and have carrier", Fail,
			"nothing on the bridge reaches anything",
			bridgeDown,
		},
		{
			"port-unplugged", "host links are up and plugged in", Fail,
			"the container is cut off",
			func(p *Patient) []symptom { return p.drifted("is down", "plugged into no bridge", "port of bridge") },
		},
		{
			"gateway-missing", "bridges have their networks' gateways", Fail,
			"containers send everything beyond their subnet to an address that nobody has",
			gatewayMissing,
		},
		{
			"bridge-foreign-address", "bridges have no other addresses", Warn,
			"the host may answer from, or route to, a network that is not there",
			foreignAddress,
		},
		{
			"netmask-32", "subnets are longer than one address", Fail,
			"an address with /32 or /128 has no neighbours: the netmask was forgotten",
			lonely,
		},
		{
			"bridge-full", "bridges have room for more ports", Warn,
			"the next ADDs fail: a bridge has at most 1023 ports",
			bridgeFull,
		},
		{
			"accept-ra", "containers can't configure the host", Fail,
			"a container may send router advertisements and become the host's IPv6 gateway (CVE-2020-10749)",
			acceptRA,
		},
		{
			"subnet-overlap-network", "networks' subnets are disjoint", Fail,
			"replies to one network's containers go to the other's bridge",
			overlapNetworks,
		},
		{
			"subnet-overlap-route", "subnets do not overlap with the host's routes", Fail,
			"containers can't reach what is behind that route, or the host can't reach containers",
			overlapRoutes,
		},
	}
}

func bridgeMissing(p *Patient) []symptom {
	var list []symptom
	for _, w := range p.Networks {
		if w.Bridge != "" && w.Attachments > 0 && p.Link(w.Bridge) == nil {
			list = append(list, one("bridgeport repair", "bridge %s of network %s does not exist, but %s", w.Bridge, w.Name, plural(w.Attachments, "attachment"))...)
		}
	}
	return list
}

func bridgeDown(p *Patient) []symptom {
	var list []symptom
	for _, b := range p.bridges() {
		switch {
		case len(p.Ports(b)) == 0:
		case !b.Up:
			list = append(list, one("ip link set "+b.Name+" up", "bridge %s with %s is down", b.Name, plural(len(p.Ports(b)), "port"))...)
		case !b.Carrier:
			list = append(list, one("ip -d link show master "+b.Name+" (which port is up?), then bridgeport repair", "bridge %s has %s, but no carrier", b.Name, plural(len(p.Ports(b)), "port"))...)
		}
	}
	return list
}

// gateways that the network's results name, for a bridge without VLANs.
func wanted(w attachment.Network) []netip.Prefix {
	var list []netip.Prefix
	if w.Conf == nil || w.Conf.Raw["vlan"] != nil || !w.Conf.IsGateway && !w.Conf.IsDefault {
		return nil
	}
	for _, set := range w.Sets {
		for _, r := range set {
			list = append(list, netip.PrefixFrom(r.Gateway, r.Subnet.Bits()))
		}
	}
	return list
}

func gatewayMissing(p *Patient) []symptom {
	var list []symptom
	for _, w := range p.Networks {
		l := p.Link(w.Bridge)
		if l == nil || w.Attachments == 0 {
			continue
		}
		for _, set := range w.Sets {
			if w.Conf == nil || len(wanted(w)) == 0 {
				continue
			}
			// Of several ranges of one set only those in use have a gateway.
			if !slices.ContainsFunc(set, func(r lease.Range) bool { return l.Has(r.Gateway) }) {
				r := set[0]
				list = append(list, one(fmt.Sprintf("bridgeport repair, or ip address add %s/%d dev %s", r.Gateway, r.Subnet.Bits(), l.Name),
					"bridge %s of network %s lacks %s/%d", l.Name, w.Name, r.Gateway, r.Subnet.Bits())...)
			}
		}
	}
	return list
}

func foreignAddress(p *Patient) []symptom {
	var list []symptom
	for _, b := range p.bridges() {
		var mine []netip.Prefix
		known := true
		for _, w := range p.Networks {
			if w.Bridge == b.Name {
				mine = append(mine, wanted(w)...)
				known = known && len(w.Sets) > 0
			}
		}
		for _, a := range b.Addrs {
			if known && !a.Addr().IsLinkLocalUnicast() && !slices.Contains(mine, a) {
				list = append(list, one(fmt.Sprintf("ip address del %s dev %s", a, b.Name), "bridge %s has %s, which is no gateway of its networks", b.Name, a)...)
			}
		}
	}
	return list
}

func lonely(p *Patient) []symptom {
	var list []symptom
	for _, b := range p.bridges() {
		for _, a := range b.Addrs {
			if a.IsSingleIP() {
				list = append(list, one(fmt.Sprintf("ip address del %s dev %s && bridgeport repair", a, b.Name), "bridge %s has %s", b.Name, a)...)
			}
		}
	}
	for _, a := range p.alive() {
		if a.Inner == nil {
			continue
		}
		for _, addr := range a.Inner.Addrs {
			if addr.IsSingleIP() {
				list = append(list, one(fmt.Sprintf("give the network a subnet in its configuration, then replace the container (now: nsenter --net=%s ip address)", a.Netns),
					"%s has %s inside the container", a.Name(), addr)...)
			}
		}
	}
	return several(list)
}

func bridgeFull(p *Patient) []symptom {
	var list []symptom
	for _, b := range p.bridges() {
		if n := len(p.Ports(b)); n*10 >= maxPorts*9 {
			list = append(list, one("give new containers a network with another \"bridge\"; bridgeport gc removes what is dead", "bridge %s has %d of %d ports", b.Name, n, maxPorts)...)
		}
	}
	return list
}

func acceptRA(p *Patient) []symptom {
	var list []symptom
	for _, b := range p.bridges() {
		if v := node.Sysctl("net/ipv6/conf/" + b.Name + "/accept_ra"); v != "" && v != "0" && len(p.Ports(b)) > 0 {
			list = append(list, one(fmt.Sprintf("sysctl -w net.ipv6.conf.%s.accept_ra=0", b.Name), "net.ipv6.conf.%s.accept_ra is %s", b.Name, v)...)
		}
	}
	return list
}

func overlapNetworks(p *Patient) []symptom {
	var list []symptom
	for i, w := range p.Networks {
		for _, o := range p.Networks[i+1:] {
			for _, a := range w.Subnets() {
				for _, b := range o.Subnets() {
					// On one bridge, and from one pool, it is on purpose.
					if a.Overlaps(b) && w.Bridge != o.Bridge {
						list = append(list, one("give one of them another subnet: bridgeport lint "+strings.TrimSpace(w.File+" "+o.File),
							"network %s has %s on %s, network %s has %s on %s", w.Name, a, w.Bridge, o.Name, b, o.Bridge)...)
					}
				}
			}
		}
	}
	return list
}

func overlapRoutes(p *Patient) []symptom {
	var list []symptom
	for _, w := range p.Networks {
		bridge := p.Link(w.Bridge)
		for _, s := range w.Subnets() {
			for _, r := range p.Routes {
				l := p.LinkAt(r.Link)
				if r.Dst.Bits() == 0 || !r.Dst.Overlaps(s) || l == nil || bridge != nil && (l.Index == bridge.Index || l.Name == fmt.Sprintf("%s.%v", w.Bridge, w.Conf.Raw["vlan"])) {
					continue
				}
				if slices.ContainsFunc(p.Networks, func(o attachment.Network) bool { return o.Bridge == l.Name }) {
					continue // subnet-overlap-network tells
				}
				list = append(list, one(fmt.Sprintf("give network %s another subnet, or the route another destination: ip route show %s", w.Name, r.Dst),
					"network %s has %s, and the host routes %s to %s", w.Name, s, r.Dst, l.Name)...)
			}
		}
	}
	return several(list)
}
