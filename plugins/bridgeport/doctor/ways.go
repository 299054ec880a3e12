package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// blockedPorts tells the chains that drop what goes to a published port. Those that drop all of the bridge's
// packets are forward-policy's.
func blockedPorts(p *Patient) {
	told, judge, known := make(map[string]bool), node.NewJudge(p.Chains), make(map[string][]foreign.Blocker)
	for _, a := range p.alive() {
		if _, asked := known[a.Bridge]; !asked {
			known[a.Bridge] = p.blockers(a.Bridge)
		}
		for _, port := range a.Ports {
			number, _ := hostport.Protocol(port.Protocol)
			for _, in := range p.Uplinks() {
				packet := node.Forwarded{
					In: in.Name, Out: p.outLink(a, port.Container.Addr()), IPv4: port.Container.Addr().Is4(),
					Protocol: number, To: port.Container, Translated: true,
				}
				for _, j := range judge.Of(packet) {
					is := func(b foreign.Blocker) bool { return b.String() == j.Chain.String() }
					if !j.Drops || told[j.Chain.String()+a.Bridge] || slices.ContainsFunc(known[a.Bridge], is) {
						continue
					}
					told[j.Chain.String()+a.Bridge] = true
					p.tell(fmt.Sprintf("nft insert rule %s %s %s oifname %s ct status dnat accept   # until the firewall is loaded again", j.Chain.Family, j.Chain.Table, j.Chain.Name, packet.Out),
						"%s drops connections from %s to %s of %s: %s", j.Chain, in.Name, port.Key(), a.Name(), j.Where)
				}
			}
		}
	}
}

// outLink is the host's link that leads to the address.
func (p *Patient) outLink(a *attachment.Attachment, to netip.Addr) string {
	if _, l := p.LinkTo(to); l != nil {
		return l.Name // the bridge, or the gateway of a VLAN
	}
	return a.Bridge
}

// somewhere is an address behind the default route, whatever it is (RFC 5737, RFC 3849).
func somewhere(is4 bool) netip.Addr {
	if is4 {
		return netip.AddrFrom4([4]byte{192, 0, 2, 1})
	}
	return netip.MustParseAddr("2001:db8::1")
}

// replies compares what the host itself sends from an address with what a container sends that publishes a
// port there: rules of `ip rule` for the host's address do not know the container's.
func replies(p *Patient) {
	for _, l := range p.Links {
		for _, own := range l.Addrs {
			far := somewhere(own.Addr().Is4())
			host, err := node.WayOf(far, own.Addr(), "")
			if err != nil || host.Link != l.Name {
				continue
			}
			for _, a := range p.alive() {
				i := slices.IndexFunc(a.Ports, func(port attachment.Port) bool {
					return port.Container.Addr().Is4() == own.Addr().Is4() && (!port.HostIP.IsValid() || port.HostIP == own.Addr())
				})
				if i < 0 {
					continue
				}
				to := a.Ports[i].Container.Addr()
				reply, err := node.WayOf(far, to, p.outLink(a, to))
				if errors.Is(err, node.ErrNoWay) && node.Sysctl(forwardKey(own.Addr().Is4())) != "0" {
					p.tell("look at `ip rule` and the routes that it leads to", "the host has no way for the replies of %s, which publishes %s, though it has one for its own packets",
						a.Name(), a.Ports[i].Key())
					return
				}
				if err == nil && reply.Link != l.Name {
					p.tell("publish the port on an address of "+reply.Link+" (hostIP), or give connections from "+l.Name+" a mark (ct mark) and an `ip rule` for it",
						"the host sends from %s by %s, but the replies of %s, which publishes %s there, leave by %s (table %d)",
						own.Addr(), l.Name, a.Name(), a.Ports[i].Key(), reply.Link, reply.Table)
					return
				}
			}
		}
	}
}

func forwardKey(is4 bool) string {
	return map[bool]string{true: "net/ipv4/ip_forward", false: "net/ipv6/conf/all/forwarding"}[is4]
}

// strictBridges tells bridges that drop what a container on two networks sends by the other one.
func (p *Patient) strictBridges() {
	for _, a := range p.alive() {
		if !slices.ContainsFunc(p.alive(), func(b *attachment.Attachment) bool { return a.Container == b.Container && a.Bridge != b.Bridge }) {
			continue
		}
		own, all := node.Sysctl("net/ipv4/conf/"+a.Bridge+"/rp_filter"), node.Sysctl("net/ipv4/conf/all/rp_filter")
		if max(own, all) == "1" && a.Addr(true).IsValid() {
			p.tell("sysctl -w net.ipv4.conf."+a.Bridge+".rp_filter=2",
				"container %s is on several networks, and bridge %s is strict (rp_filter 1, its own or all's)", a.Label(), a.Bridge)
			return
		}
	}
}
