package trace

import (
	"bytes"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// holder is the living attachment with the address; nil without one.
func (t *Tracer) holder(a netip.Addr) (found *attachment.Attachment) {
	for _, one := range t.List {
		if one.Alive() && one.Has(a) {
			found = one
		}
	}
	return found
}

// admits asks the rules of ours about who sends where and who reaches whom, which look before anybody
// translates the packet. in is the link that it comes in by.
func (t *Tracer) admits(p Packet, in *node.Link) bool {
	if in == nil {
		return true // they are for what comes in
	}
	number, _ := hostport.Protocol(p.Protocol)
	packet := node.Forwarded{In: in, IPv4: p.To.Addr().Is4(), Protocol: number, From: p.From, To: p.To, ToHost: t.Local(p.To.Addr())}
	from, to := t.holder(p.From.Addr()), t.holder(p.To.Addr())
	if from != nil && to != nil && from.Bridge == to.Bridge {
		return t.through("egress", nft.Bridge, packet, func(e nft.Element) bool {
			return e.Class() == nft.ClassNeighbours && bytes.Equal(e.Key, nft.IfName(from.Link))
		})
	}
	return t.through("egress", nft.Inet, packet, func(e nft.Element) bool {
		return e.Class() == nft.ClassEgress && e.Address() == p.From.Addr()
	}) && t.through("isolateFromLan", nft.Inet, packet, func(e nft.Element) bool {
		return e.Class() == nft.ClassHidden && e.Address() == p.To.Addr()
	})
}

// kept asks the rules that keep networks apart.
func (t *Tracer) kept(packet node.Forwarded) bool {
	return packet.Translated || t.through("isolation", nft.Inet, packet, func(e nft.Element) bool {
		return e.Class() == nft.ClassIsolated && (e.Address() == packet.From.Addr() || e.Address() == packet.To.Addr())
	})
}

// through asks the chains to which elements lead.
func (t *Tracer) through(name string, family nft.Family, packet node.Forwarded, is func(nft.Element) bool) bool {
	for _, e := range t.Rules {
		if !is(e) {
			continue
		}
		refused, doubt, where := node.NewJudge(t.Chains).Through(family, e.Chain, packet)
		switch {
		case refused:
			return t.drop(name, "%s refuses it (nft -a list chain %s %s %s)", where, family, nft.Table, e.Chain)
		case doubt:
			t.doubt(name, "chain %s %s %s may refuse it: %s", family, nft.Table, e.Chain, where)
		default:
			t.hop(name, "chain %s %s %s lets it through", family, nft.Table, e.Chain)
		}
	}
	return true
}

// leaves is the way of a container's packet to somewhere that is no attachment.
func (t *Tracer) leaves(p Packet, in *node.Link) bool {
	r, l := t.LinkTo(p.To.Addr())
	if l == nil {
		return t.drop("route", "the host has no route to %s", p.To.Addr())
	}
	if !t.forwards(in.Name, p.To.Addr().Is4()) {
		return false
	}
	t.hop("route", "%s dev %s", r.Dst, l.Name)
	if !t.forward(l, packetOf(p, l, in, p.To)) {
		return false
	}
	said := "none: it leaves with the container's address"
	for _, e := range t.Rules {
		if e.Class() == nft.ClassMasquerade && e.Address() == p.From.Addr() {
			said = "chain inet " + nft.Table + " " + e.Chain + " decides whether it leaves with the host's address"
		}
	}
	t.hop("masquerade", "%s", said)
	t.hop(WayOut, "it leaves by %s", l.Name)
	return true
}

// WayOut is the last hop of a container's packet that leaves the host, or that the host gets.
const WayOut = "way out"

// Egress is where one attachment may send.
type Egress struct {
	Name    string   `json:"name"`
	Rules   []string `json:"rules"`   // in the order in which they are asked
	Refused uint64   `json:"refused"` // packets of all attachments with the same rules
}

// Egress lists the attachments that may send to some addresses only. rules tells those of one.
func (t *Tracer) Egress(rules func(*attachment.Attachment) []string) []Egress {
	list := []Egress{}
	for _, a := range t.List {
		chains := make(map[string]bool)
		for _, e := range a.Elements {
			if e.Class() == nft.ClassEgress || e.Class() == nft.ClassNeighbours {
				chains[e.Chain] = true
			}
		}
		if len(chains) == 0 {
			continue
		}
		one := Egress{Name: a.Name(), Rules: rules(a)}
		for _, c := range t.Chains {
			if c.Table == nft.Table && chains[c.Name] {
				one.Refused += c.Refused()
			}
		}
		list = append(list, one)
	}
	return list
}
