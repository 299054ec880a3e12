package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// blockedPorts tells the chains that drop what goes to a published port. Those that drop all of the bridge's
// packets are forward-policy's.
func blockedPorts(p *Patient) {
	asked, told := make(map[string]bool), make(map[string]bool) // bridges; chains, with the bridge
	judge, uplinks := node.NewJudge(p.Chains), p.Uplinks()
	for _, a := range p.alive() {
		if !asked[a.Bridge] {
			asked[a.Bridge] = true
			for _, b := range p.blockers(a.Bridge) {
				told[b.String()+a.Bridge] = true
			}
		}
		for _, port := range a.Ports {
			number, _ := hostport.Protocol(port.Protocol)
			packet := node.Forwarded{
				Out: p.Link(a.OutLink(p.Node, port.Container.Addr())), IPv4: port.Container.Addr().Is4(),
				Protocol: number, To: port.Container, Translated: true,
			}
			for _, in := range uplinks {
				if packet.Out == nil {
					break // of another check
				}
				packet.In = in
				p.tellDrops(a, port, packet, judge.Of(packet), told)
			}
		}
	}
}

// tellDrops tells each chain once for a bridge.
func (p *Patient) tellDrops(a *attachment.Attachment, port attachment.Port, packet node.Forwarded, list []node.Judgement, told map[string]bool) {
	for _, j := range list {
		key := j.Chain.String() + a.Bridge
		if !j.Drops || told[key] {
			continue
		}
		told[key] = true
		p.tell(fmt.Sprintf("nft insert rule %s %s %s oifname %s ct status dnat accept   # until the firewall is loaded again", j.Chain.Family, j.Chain.Table, j.Chain.Name, packet.Out.Name),
			"%s drops connections from %s to %s of %s: %s", j.Chain, packet.In.Name, port.Key(), a.Name(), j.Where)
	}
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
	alive := p.alive()
	for _, l := range p.Links {
		for _, own := range l.Addrs {
			far := somewhere(own.Addr().Is4())
			host, err := node.WayOf(far, own.Addr(), "")
			if err != nil || host.Link != l.Name {
				continue
			}
			for _, a := range alive {
				i := slices.IndexFunc(a.Ports, func(port attachment.Port) bool {
					return port.Container.Addr().Is4() == own.Addr().Is4() && (!port.HostIP.IsValid() || port.HostIP == own.Addr())
				})
				if i < 0 {
					continue
				}
				to := a.Ports[i].Container.Addr()
				reply, err := node.WayOf(far, to, a.OutLink(p.Node, to))
				if errors.Is(err, node.ErrNoWay) && node.Sysctl(node.ForwardKey(own.Addr().Is4())) != "0" {
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

// strictBridges tells bridges that drop what a container on two networks sends by the other one.
func (p *Patient) strictBridges() {
	alive := p.alive()
	for _, a := range alive {
		if !slices.ContainsFunc(alive, func(b *attachment.Attachment) bool { return a.Container == b.Container && a.Bridge != b.Bridge }) {
			continue
		}
		if node.Strict(a.Bridge) && a.Addr(true).IsValid() {
			p.tell("sysctl -w net.ipv4.conf."+a.Bridge+".rp_filter=2",
				"container %s is on several networks, and bridge %s is strict (rp_filter 1, its own or all's)", a.Label(), a.Bridge)
			return
		}
	}
}
