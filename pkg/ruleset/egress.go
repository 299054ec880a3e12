package ruleset

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"golang.org/x/sys/unix"
)

// What containers send meets two chains. That of family inet sees what the host gets or routes, before
// an address is translated: it knows connections, so that answers pass. Those of family bridge see what
// stays on the bridge, which the host tracks nowhere. There an answer is a segment with ACK or RST,
// an ICMP message that is one, or UDP to who has sent some a moment ago.

// Policy says where a container may send.
type Policy struct {
	Deny  bool // what no list names
	First []Entry
	Then  []Entry // First are exceptions from these; both are what the default is not, in turn
}

// Entry is where packets go, of a list.
type Entry struct {
	To       []netip.Prefix
	Host     bool   // the host's own addresses, whichever they are
	Names    string // the word of a set that is filled by names; "" for none
	Protocol uint8  // 0 for all; 1 is ICMP of either family
	Ports    []nft.PortRange
}

// Lines are the policy for people, a rule each, in the order in which they are asked.
func (p Policy) Lines() (lines []string) {
	first, then := "allow ", "deny "
	if p.Deny {
		first, then = then, first
	}
	for _, d := range p.First {
		lines = append(lines, first+d.String())
	}
	for _, d := range p.Then {
		lines = append(lines, then+d.String())
	}
	return append(lines, first+"all else")
}

// String is the entry for people: "192.0.2.0/24 tcp 443, 8000-8999".
func (d Entry) String() string {
	var to []string
	for _, p := range d.To {
		if p.IsSingleIP() {
			to = append(to, p.Addr().String())
			continue
		}
		to = append(to, p.String())
	}
	if d.Host {
		to = append(to, "host")
	}
	if d.Names != "" {
		to = append(to, "@"+d.Names)
	}
	text := strings.Join(to, ", ")
	switch d.Protocol {
	case 0:
	case unix.IPPROTO_ICMP:
		text += " icmp"
	default:
		text += " " + hostport.ProtocolName(d.Protocol)
	}
	for i, p := range d.Ports {
		if i > 0 {
			text += ","
		}
		text += " " + p.String()
	}
	return text
}

const (
	lastEgress     = "egress"
	lastNeighbours = "input"
)

// Egress is the block of family inet.
func Egress() nft.Block {
	return nft.Block{Place: nft.InEgress, Last: lastEgress, Chains: func() []nft.Chain { return []nft.Chain{egressChain()} }}
}

func egressChain() nft.Chain {
	rules := []nft.Rule{nft.NewRule("answers to who has asked a container", nft.Reply(), nft.Accept())}
	rules = append(rules, discoveryPasses(nft.Inet)...)
	return nft.Chain{
		Name: lastEgress,
		Hook: &nft.Hook{Type: "filter", Name: "prerouting", Priority: -150, PriorityName: "mangle"},
		Rules: append(rules,
			nft.NewRule("containers that may send to some addresses only", nft.SaddrVmap("egress4")),
			nft.NewRule("containers that may send to some addresses only", nft.SaddrVmap("egress6"))),
	}
}

// discoveryPasses accepts what a link can't do without, and connection tracking knows nothing of: also
// that the container hears a group, which its kernel says on its own.
func discoveryPasses(f nft.Family) (rules []nft.Rule) {
	for _, kind := range []byte{routerSolicitation, neighborSolicitation, neighborAdvertisement, listenerReport} {
		rules = append(rules, icmpPasses(f, "neighbour discovery", false, kind))
	}
	return rules
}

func icmpPasses(f nft.Family, comment string, is4 bool, kind byte) nft.Rule {
	protocol := byte(unix.IPPROTO_ICMPV6)
	if is4 {
		protocol = unix.IPPROTO_ICMP
	}
	return nft.NewRule(comment, nft.OfFamily(f, is4), nft.L4proto(protocol), nft.ICMPType.Is(kind), nft.Accept())
}

// Neighbours is the block of family bridge.
func Neighbours() nft.Block {
	return nft.Block{Place: nft.InNeighbours, Last: lastNeighbours, Chains: neighbourChains}
}

func neighbourChains() []nft.Chain {
	hook := func(name string) *nft.Hook { return &nft.Hook{Type: "filter", Name: name, Priority: -200} }
	linkLocal := nft.SaddrAmong(nft.Bridge, []netip.Prefix{netip.MustParsePrefix("fe80::/10")})
	return []nft.Chain{
		{Name: "neighbours", Family: nft.Bridge, Rules: append(answers(),
			nft.NewRule("UDP to a confined port, which may answer", nft.OifnameIn(nft.MarkConfined), nft.HearUDP(true)),
			nft.NewRule("UDP to a confined port, which may answer", nft.OifnameIn(nft.MarkConfined), nft.HearUDP(false)),
			nft.NewRule("answers, UDP", nft.AnswersUDP(true), nft.Accept()),
			nft.NewRule("answers, UDP", nft.AnswersUDP(false), nft.Accept()),
			nft.NewRule("ports that may send to some neighbours only", nft.IifnameVmap("neighbours")))},
		{Name: "forward", Family: nft.Bridge, Hook: hook("forward"), Rules: []nft.Rule{
			nft.NewRule("frames that stay on the bridge", nft.Jump("neighbours")),
		}},
		// Other packets to the host meet the chain of family inet. There a link-local address would
		// not say whose it is.
		{Name: lastNeighbours, Family: nft.Bridge, Hook: hook("input"), Rules: []nft.Rule{
			nft.NewRule("to the host, from a link-local address", linkLocal, nft.Jump("neighbours")),
		}},
	}
}

// answers accepts frames that open nothing.
func answers() []nft.Rule {
	rules := []nft.Rule{
		nft.NewRule("answers, TCP", nft.TCPFlags(nft.FlagACK|nft.FlagRST), nft.Accept()),
		nft.NewRule("ARP", nft.EtherType.Is(0x08, 0x06), nft.Accept()),
	}
	for _, kind := range []byte{0, 3, 11, 12} { // echo reply and errors (RFC 792)
		rules = append(rules, icmpPasses(nft.Bridge, "answers, ICMP", true, kind))
	}
	for _, kind := range []byte{129, 1, 2, 3, 4} { // the same (RFC 4443)
		rules = append(rules, icmpPasses(nft.Bridge, "answers, ICMP", false, kind))
	}
	return append(rules, discoveryPasses(nft.Bridge)...)
}

// EgressChains are the policy as chains, one for each family of tables. A chain returns where the
// container may send. Frames of another protocol than IP meet the spoof check.
func EgressChains(network string, p Policy) []nft.Chain {
	var chains []nft.Chain
	for _, f := range []nft.Family{nft.Inet, nft.Bridge} {
		pass := []nft.Part{nft.Return()}
		stop := []nft.Part{nft.Counter(), nft.Drop()}
		if f == nft.Inet { // a bridge has nobody who could answer
			stop[1] = nft.Reject()
		}
		first, then, last := pass, stop, "all else may be sent"
		if p.Deny {
			first, then, last = stop, pass, "nothing else may be sent"
		}
		rules := slices.Concat(verdicts(f, p.First, first), verdicts(f, p.Then, then), []nft.Rule{nft.NewRule(last, first...)})
		c := nft.Named(nft.EgressChains+network, rules)
		c.Family = f
		chains = append(chains, c)
	}
	return chains
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
	add := func(comment string, is4 bool, to nft.Part) {
		parts := []nft.Part{to}
		switch {
		case d.Protocol == unix.IPPROTO_ICMP && !is4:
			parts = append(parts, nft.L4proto(unix.IPPROTO_ICMPV6))
		case d.Protocol != 0:
			parts = append(parts, nft.DportAmong(d.Protocol, d.Ports))
		}
		rules = append(rules, nft.NewRule(comment, append(parts, verdict...)...))
	}
	for _, is4 := range []bool{true, false} {
		of := slices.DeleteFunc(slices.Clone(d.To), func(p netip.Prefix) bool { return p.Addr().Is4() != is4 })
		if len(of) > 0 {
			add("egress", is4, nft.DaddrAmong(f, of))
		}
		if f != nft.Inet {
			continue // neither the host nor what a resolver found is a neighbour
		}
		if d.Names != "" {
			add("egress, by names", is4, nft.DaddrNamed(d.Names, is4))
		}
		if d.Host {
			add("egress, the host", is4, nft.All(nft.OfFamily(f, is4), nft.DaddrLocal()))
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
