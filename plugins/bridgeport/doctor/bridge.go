package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
)

// maxPorts is BR_MAX_PORTS less the port number 0 (net/bridge/br_private.h).
const maxPorts = 1023

var bridgeChecks = []Check{
	fails("bridge-missing", "each attachment's bridge exists",
		"its containers are cut off from everything", each(networks, func(p *Patient, w attachment.Network) {
			if w.Bridge != "" && w.Attachments > 0 && p.Link(w.Bridge) == nil {
				p.tell("bridgeport repair", "bridge %s of network %s does not exist, but %s", w.Bridge, w.Name, show.Count(w.Attachments, "attachment"))
			}
		})),
	fails("bridge-down", "bridges with attachments are up and have carrier",
		"nothing on the bridge reaches anything", each((*Patient).bridges, func(p *Patient, b *node.Link) {
			switch ports := show.Count(len(p.Ports(b)), "port"); {
			case len(p.Ports(b)) == 0:
			case !b.Up:
				p.tell("ip link set "+b.Name+" up", "bridge %s with %s is down", b.Name, ports)
			case !b.Carrier:
				p.tell("bridgeport repair   # ip -d link show master "+b.Name+" tells which ports are down",
					"bridge %s has %s, but no carrier", b.Name, ports)
			}
		})),
	fails("port-unplugged", "host links are up and plugged in", "the container is cut off", drifted),
	fails("gateway-missing", "bridges have their networks' gateways",
		"containers send everything beyond their subnet to an address that nobody has", each(networks, func(p *Patient, w attachment.Network) {
			l := p.Link(w.Bridge)
			if l == nil || w.Attachments == 0 {
				return
			}
			for _, set := range wanted(w) {
				// Of several ranges of one set only those in use have a gateway.
				if !slices.ContainsFunc(set, func(g netip.Prefix) bool { return l.Has(g.Addr()) }) {
					p.tell(fmt.Sprintf("ip address add %s dev %s", set[0], l.Name), "bridge %s of network %s lacks %s", l.Name, w.Name, set[0])
				}
			}
		})),
	warns("bridge-foreign-address", "bridges have no other addresses",
		"the host may answer from, or route to, a network that is not there", each((*Patient).bridges, func(p *Patient, b *node.Link) {
			var mine []netip.Prefix
			for _, w := range p.Networks {
				if w.Bridge != b.Name {
					continue
				}
				if len(w.Sets) == 0 {
					return // its addresses are not known
				}
				mine = append(mine, slices.Concat(wanted(w)...)...)
			}
			for _, a := range b.Addrs {
				if !a.Addr().IsLinkLocalUnicast() && !slices.Contains(mine, a) {
					p.tell(fmt.Sprintf("ip address del %s dev %s", a, b.Name), "bridge %s has %s, which is no gateway of its networks", b.Name, a)
				}
			}
		})),
	fails("netmask-32", "subnets are longer than one address",
		"an address with /32 or /128 has no neighbours: the netmask was forgotten", lonely),
	warns("bridge-full", "bridges have room for more ports",
		"the next ADDs fail: a bridge has at most 1023 ports", each((*Patient).bridges, func(p *Patient, b *node.Link) {
			if n := len(p.Ports(b)); n*10 >= maxPorts*9 {
				p.tell("give new containers a network with another \"bridge\"; bridgeport gc removes what is dead",
					"bridge %s has %d of %d ports", b.Name, n, maxPorts)
			}
		})),
	fails("accept-ra", "containers can't configure the host",
		"a container may send router advertisements and become the host's IPv6 gateway (CVE-2020-10749)",
		each((*Patient).bridges, func(p *Patient, b *node.Link) {
			if v := node.Sysctl("net/ipv6/conf/" + b.Name + "/accept_ra"); v != "" && v != "0" && len(p.Ports(b)) > 0 {
				p.tell("sysctl -w net.ipv6.conf."+b.Name+".accept_ra=0", "net.ipv6.conf.%s.accept_ra is %s", b.Name, v)
			}
		})),
	fails("subnet-overlap-network", "networks' subnets are disjoint",
		"replies to one network's containers go to the other's bridge", overlapNetworks),
	fails("subnet-overlap-route", "subnets do not overlap with the host's routes",
		"containers can't reach what is behind that route, or the host can't reach containers", each(networks, overlapRoutes)),
}

// wanted are a bridge's gateways, of each range set; with a VLAN there are none: they are on another link.
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
				p.tell("give the network a subnet in its configuration, then replace the container (now: nsenter --net="+a.Netns+" ip address)",
					"%s has %s inside the container", a.Name(), addr)
			}
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

func overlapRoutes(p *Patient, w attachment.Network) {
	var own []string
	if w.Conf != nil {
		own = append(own, link.VlanGatewayName(w.Bridge, w.Conf.Vlan))
	}
	for _, o := range p.Networks { // of the others' subnets subnet-overlap-network tells
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

var linkChecks = []Check{
	warns("mtu-path", "no MTU on the way is larger than the next",
		"large packets are dropped or fragmented: connections open, then hang with the first full packet", func(p *Patient) {
			if len(p.Uplinks()) == 0 {
				return
			}
			way := slices.MinFunc(p.Uplinks(), func(a, b *node.Link) int { return cmp.Compare(a.MTU, b.MTU) })
			for _, b := range p.bridges() {
				if b.MTU > way.MTU {
					p.tell(fmt.Sprintf("ip link set %s mtu %d   # and \"mtu\": \"auto\" in the network's configuration", b.Name, way.MTU),
						"bridge %s has MTU %d, the way out %s only %d", b.Name, b.MTU, way.Name, way.MTU)
				}
			}
		}),
	fails("mtu-pair", "both ends of a container's link have one MTU",
		"the end with the larger MTU sends frames that the other drops without a word",
		each((*Patient).inside, func(p *Patient, a *attachment.Attachment) {
			if a.Host != nil && a.Host.MTU != a.Inner.MTU {
				p.tell(fmt.Sprintf("ip link set %s mtu %d", a.Host.Name, a.Inner.MTU),
					"%s: %s has MTU %d, %s inside has %d", a.Name(), a.Host.Name, a.Host.MTU, a.IfName, a.Inner.MTU)
			}
		})),
	fails("mac-duplicate", "no MAC is on a bridge twice",
		"the bridge sends frames for one container to the other, now this way, now that", func(p *Patient) {
			seen := make(map[string]*attachment.Attachment)
			for _, a := range p.inside() {
				key := a.Bridge + " " + a.Inner.MAC
				if o := seen[key]; o != nil {
					p.tell("replace one of the containers; \"macspoofchk\": true keeps containers from taking others' addresses",
						"%s is the MAC of %s and of %s on bridge %s", a.Inner.MAC, o.Name(), a.Name(), a.Bridge)
				}
				seen[key] = a
			}
		}),
	fails("ip-duplicate", "no address is in use twice",
		"connections reach one container or the other, by which answered ARP last", ipDuplicate),
	fails("address-drift", "containers have the addresses they were given",
		"the container can't be reached at the address that everybody else was told", drifted),
	warns("network-manager", "NetworkManager leaves our links alone",
		"NetworkManager may take addresses off the bridge, or run DHCP on it",
		manages("NetworkManager", "/run/NetworkManager/devices", // nm-config-data
			`printf '[keyfile]\nunmanaged-devices=interface-name:veth*;interface-name:NAME\n' >/etc/NetworkManager/conf.d/bridgeport.conf && nmcli general reload`,
			"managed=true", "managed=1")),
	warns("networkd", "systemd-networkd leaves our links alone",
		"a reload of systemd-networkd removes addresses and routes that its files do not name",
		manages("systemd-networkd", "/run/systemd/netif/links", // sd-network
			`printf '[Match]\nName=NAME veth*\n[Link]\nUnmanaged=yes\n' >/etc/systemd/network/05-bridgeport.network && networkctl reload`,
			"ADMIN_STATE=configured", "ADMIN_STATE=configuring", "ADMIN_STATE=pending")),
}

func ipDuplicate(p *Patient) {
	seen := make(map[string]*attachment.Attachment)
	for _, a := range p.inside() {
		for _, prefix := range a.Inner.Addrs {
			addr := prefix.Addr()
			if addr.IsLinkLocalUnicast() {
				continue
			}
			key := a.Bridge + " " + addr.String()
			if o := seen[key]; o != nil {
				p.tell("replace one of the containers; bridgeport who "+addr.String()+" tells who leased it",
					"%s is in use by %s and by %s on bridge %s", addr, o.Name(), a.Name(), a.Bridge)
			} else if b := p.Link(a.Bridge); b != nil && b.Has(addr) {
				p.tell("replace the container; keep the gateway out of the range", "%s is in use by %s and by its bridge %s", addr, a.Name(), b.Name)
			}
			seen[key] = a
		}
	}
}

// manages looks for links of ours in the notes that a daemon has of links, by index, in dir:
// it manages those with one of the marks. NAME in the fix stands for the link.
func manages(daemon, dir, fix string, marks ...string) func(*Patient) {
	return func(p *Patient) {
		var names []string
		for _, b := range p.bridges() {
			for _, l := range append([]*node.Link{b}, p.Ports(b)...) {
				data, _ := os.ReadFile(filepath.Join(dir, fmt.Sprint(l.Index))) // the daemon may not know it, or not run
				if slices.ContainsFunc(strings.Fields(string(data)), func(word string) bool { return slices.Contains(marks, word) }) {
					names = append(names, l.Name)
				}
			}
		}
		if len(names) > 0 {
			p.tell(strings.ReplaceAll(fix, "NAME", names[0]), "%s manages %s", daemon, strings.Join(names, ", "))
		}
	}
}
