package ruleset

import (
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"golang.org/x/sys/unix"
)

// What containers send meets two chains. That of family inet sees what the host gets or routes, before
// an address is translated: it knows connections, so that answers pass. That of family bridge sees what
// stays on the bridge, which the host tracks nowhere. There an answer is a segment with ACK or RST, an ICMP
// message that is one, or UDP to who has sent some a moment ago, and goes to an address of the network.

// lastEgress and lastNeighbours are the names of the last chains of Egress and Neighbours.
const (
	lastEgress     = "discovery"
	lastNeighbours = "forward"
)

// refuse is the chain that tells the sender.
const refuse = "refuse"

// hopLimit is that of neighbour discovery; a router takes one off (RFC 4861, ip6_forward).
const hopLimit = 255

// Egress is the block of family inet.
func Egress() nft.Block {
	return nft.Block{Place: nft.InEgress, Last: lastEgress, Chains: egressChains}
}

func egressChains() []nft.Chain {
	hook := func(name string) *nft.Hook {
		return &nft.Hook{Type: "filter", Name: name, Priority: -150, PriorityName: "mangle"}
	}
	rules := append([]nft.Rule{nft.NewRule("answers to who has asked a container", nft.Answer(), nft.Accept())}, discoveryPasses(nft.Inet)...)
	var routed []nft.Rule
	for _, kind := range []byte{neighborSolicitation, neighborAdvertisement} {
		routed = append(routed, nft.NewRule("neighbour discovery that was routed", nft.OfFamily(nft.Inet, false), nft.L4proto(unix.IPPROTO_ICMPV6),
			nft.ICMPType.Is(kind), nft.IP6Hoplimit.IsNumber(hopLimit).Not(), nft.Drop()))
	}
	return []nft.Chain{
		{Name: refuse, Rules: []nft.Rule{
			nft.NewRule("said at once, TCP", nft.ResetTCP()), nft.NewRule("said at once", nft.Reject()),
		}},
		{Name: "egress", Hook: hook("prerouting"), Rules: append(rules,
			nft.NewRule("containers that may send to some addresses only", nft.SendingVmap("egress4")),
			nft.NewRule("containers that may send to some addresses only", nft.SendingVmap("egress6")))},
		{Name: lastEgress, Hook: hook("forward"), Rules: routed},
	}
}

// discoveryPasses accepts what a link can't do without, and connection tracking knows nothing of: also
// that the container looks for a router and hears a group, which its kernel says on its own.
func discoveryPasses(f nft.Family) (rules []nft.Rule) {
	groups := []netip.Prefix{netip.MustParsePrefix("ff02::/16")}
	for _, kind := range []byte{routerSolicitation, listenerReport} {
		rules = append(rules, icmpPasses(f, "neighbour discovery", false, kind, nft.DaddrAmong(f, groups)))
	}
	for _, kind := range []byte{neighborSolicitation, neighborAdvertisement} {
		rules = append(rules, icmpPasses(f, "neighbour discovery", false, kind, nft.OfFamily(f, false)))
	}
	return rules
}

func icmpPasses(f nft.Family, comment string, is4 bool, kind byte, to nft.Part) nft.Rule {
	protocol := byte(unix.IPPROTO_ICMPV6)
	if is4 {
		protocol = unix.IPPROTO_ICMP
	}
	return nft.NewRule(comment, to, nft.L4proto(protocol), nft.ICMPType.Is(kind), nft.Accept())
}

// Neighbours is the block of family bridge.
func Neighbours() nft.Block {
	return nft.Block{Place: nft.InNeighbours, Last: lastNeighbours, Chains: neighbourChains}
}

func neighbourChains() []nft.Chain {
	hear := func(is4 bool) nft.Rule {
		return nft.NewRule("UDP to a confined port, which may answer", nft.OifnameIn(nft.MarkConfined), nft.HearUDP(is4))
	}
	return []nft.Chain{
		{Name: answers, Family: nft.Bridge, Rules: answerRules()},
		{Name: lastNeighbours, Family: nft.Bridge, Hook: &nft.Hook{Type: "filter", Name: "forward", Priority: -200}, Rules: []nft.Rule{
			nft.NewRule("to the gateway of a VLAN, behind which family inet judges", nft.Oifgroup(GatewayPortGroup), nft.Accept()),
			nft.NewRule("ports that may send to some neighbours only", nft.IifnameVmap("neighbours")),
			hear(true), hear(false), // what was let through
		}},
	}
}

// answers is the chain that accepts frames to neighbours that open nothing.
const answers = "answers"

func answerRules() []nft.Rule {
	rules := []nft.Rule{nft.NewRule("answers, TCP", nft.TCPFlags(nft.FlagACK|nft.FlagRST), nft.Accept())}
	for _, kind := range []byte{0, 3, 11, 12} { // echo reply and errors (RFC 792)
		rules = append(rules, icmpPasses(nft.Bridge, "answers, ICMP", true, kind, nft.OfFamily(nft.Bridge, true)))
	}
	for _, kind := range []byte{129, 1, 2, 3, 4} { // the same (RFC 4443)
		rules = append(rules, icmpPasses(nft.Bridge, "answers, ICMP", false, kind, nft.OfFamily(nft.Bridge, false)))
	}
	return append(rules,
		nft.NewRule("answers, UDP", nft.AnswersUDP(true), nft.Accept()),
		nft.NewRule("answers, UDP", nft.AnswersUDP(false), nft.Accept()))
}

// EgressChains are the policy as chains, one for each family of tables. A chain returns where the
// container may send. near are the network's own subnets, within which a bridge's frame is an answer: to
// elsewhere it leaves by a router that is not this host. Frames of other protocols than ARP and IP meet
// the spoof check.
func EgressChains(network string, near []netip.Prefix, p Policy) []nft.Chain {
	var chains []nft.Chain
	source := p.source(near)
	for _, f := range []nft.Family{nft.Inet, nft.Bridge} {
		c := nft.NamedBy(nft.EgressChains+network, slices.Concat(source, []byte(f)), func() []nft.Rule { return p.rules(f, near) })
		c.Family = f
		chains = append(chains, c)
	}
	return chains
}

func (p Policy) rules(f nft.Family, near []netip.Prefix) (rules []nft.Rule) {
	pass := []nft.Part{nft.Return()}
	stop := []nft.Part{nft.Counter(), nft.Jump(refuse)}
	if f == nft.Bridge { // which has nobody who could tell
		stop[1] = nft.Drop()
		rules = append([]nft.Rule{nft.NewRule("ARP", nft.EtherType.Is(0x08, 0x06), nft.Accept())}, discoveryPasses(f)...)
		for _, of := range families(append([]netip.Prefix{netip.MustParsePrefix("fe80::/10")}, near...)) {
			rules = append(rules, nft.NewRule("answers to neighbours", nft.DaddrAmong(f, of), nft.Jump(answers)))
		}
	}
	first, then, last := pass, stop, "all else may be sent"
	if p.Deny {
		first, then, last = stop, pass, "nothing else may be sent"
	}
	return slices.Concat(rules, verdicts(f, p.First, first), verdicts(f, p.Then, then), []nft.Rule{nft.NewRule(last, first...)})
}

// families are the prefixes of IPv4, and those of IPv6, in order; a family without one is left out.
func families(list []netip.Prefix) (split [][]netip.Prefix) {
	for _, is4 := range []bool{true, false} {
		of := slices.DeleteFunc(sorted(list), func(p netip.Prefix) bool { return p.Addr().Is4() != is4 })
		if len(of) > 0 {
			split = append(split, of)
		}
	}
	return split
}

// verdicts are the rules of a list. Entries with the same protocol and ports become one rule.
func verdicts(f nft.Family, list []Entry, verdict []nft.Part) (rules []nft.Rule) {
	done := make([]bool, len(list))
	for i, d := range list {
		if done[i] {
			continue
		}
		all := d
		all.To = slices.Clone(d.To)
		for j := i + 1; j < len(list); j++ {
			if e := list[j]; !e.Host && e.Names == "" && !d.Host && d.Names == "" && e.Protocol == d.Protocol && slices.Equal(e.Ports, d.Ports) {
				all.To, done[j] = append(all.To, e.To...), true
			}
		}
		rules = append(rules, all.rules(f, verdict)...)
	}
	return rules
}

func (d Entry) rules(f nft.Family, verdict []nft.Part) (rules []nft.Rule) {
	add := func(comment string, is4 bool, to nft.Part, before ...nft.Part) {
		parts := []nft.Part{to}
		switch {
		case d.Protocol == unix.IPPROTO_ICMP && !is4:
			parts = append(parts, nft.L4proto(unix.IPPROTO_ICMPV6))
		case d.Protocol != 0:
			parts = append(parts, nft.DportAmong(d.Protocol, d.Ports))
		}
		rules = append(rules, nft.NewRule(comment, slices.Concat(parts, before, verdict)...))
	}
	for _, of := range families(d.To) {
		add("egress", of[0].Addr().Is4(), nft.DaddrAmong(f, of))
	}
	for _, is4 := range []bool{true, false} {
		if f != nft.Inet {
			break // neither the host nor what a resolver found is a neighbour
		}
		if d.Names != "" {
			add("egress, by names", is4, nft.DaddrNamed(d.Names, is4), nft.RefreshNamed(d.Names, is4))
		}
		if d.Host {
			add("egress, the host", is4, nft.All(nft.OfFamily(f, is4), nft.DaddrNotUnicast()))
		}
	}
	return rules
}

// Isolation is the block of the chain that keeps networks apart.
func Isolation() nft.Block {
	return nft.Block{Place: nft.InIsolation, Last: "isolation", Chains: func() []nft.Chain { return []nft.Chain{isolationChain()} }}
}

func isolationChain() nft.Chain {
	const comment = "containers that are kept apart from other networks"
	return nft.Chain{
		Name: "isolation",
		Hook: &nft.Hook{Type: "filter", Name: "forward", Priority: -150, PriorityName: "mangle"},
		Rules: []nft.Rule{
			nft.NewRule("by a published port", nft.Forwarded(), nft.Accept()),
			nft.NewRule(comment, nft.SaddrVmap("isolated4")), nft.NewRule(comment, nft.DaddrVmap("isolated4")),
			nft.NewRule(comment, nft.SaddrVmap("isolated6")), nft.NewRule(comment, nft.DaddrVmap("isolated6")),
		},
	}
}

// NetworkChain keeps containers behind the links apart from those behind other gateways of ours; with
// strict also from those behind bridges that others made.
func NetworkChain(network string, links []string, strict bool) nft.Chain {
	const comment = "between networks only by published ports"
	var rules []nft.Rule
	for _, link := range links {
		rules = append(rules, nft.NewRule("on its own bridge", nft.Iifname(link), nft.Oifname(link), nft.Return()))
	}
	rules = append(rules, nft.NewRule(comment, nft.Iifgroup(GatewayGroup), nft.Oifgroup(GatewayGroup), nft.Counter(), nft.Drop()))
	for _, link := range links {
		if !strict {
			break
		}
		rules = append(rules,
			nft.NewRule(comment, nft.Iifname(link), nft.Oifkind("bridge"), nft.Counter(), nft.Drop()),
			nft.NewRule(comment, nft.Oifname(link), nft.Iifkind("bridge"), nft.Counter(), nft.Drop()))
	}
	return nft.Named(nft.IsolationChains+network, rules)
}
