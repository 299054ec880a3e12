package ruleset

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// Field is what a condition looks at.
type Field int

// The fields of packets that conditions know.
const (
	Source      Field = iota // address of the client
	Destination              // address of the host that the client used
	Interface                // by which a packet came in; none where the host itself is the client
	Mark                     // of the packet
)

// Condition is what a packet must have, or with Not must not have, to reach the container. One of
// several values is enough.
type Condition struct {
	Field    Field
	Not      bool
	Prefixes []netip.Prefix // of Source and Destination, of one family
	Names    []string       // of Interface; one that ends in * stands for all that begin so
	Marks    []MarkValue
}

// MarkValue is met by marks that have Value in the bits of Mask.
type MarkValue struct{ Value, Mask uint32 }

// Gate says which clients may use a port, and which bits their packets' marks get.
type Gate struct {
	Conditions []Condition // all of them
	Allow      []netip.Prefix
	Limited    bool // only Allow may; without it everybody
	// MarkBits are set in the mark of packets from MarkFrom, or of all with MarkAll.
	MarkBits uint32
	MarkFrom []netip.Prefix
	MarkAll  bool
}

// Open says that the gate lets everybody in and marks nothing, so that no gate is needed.
func (g Gate) Open() bool { return len(g.Conditions) == 0 && !g.Limited && g.MarkBits == 0 }

// GateChain is the gate as a chain. It accepts packets that may not enter: the chain of published
// ports does not see them, and they go to the host itself.
func GateChain(network string, g Gate) nft.Chain {
	var rules []nft.Rule
	for _, c := range g.Conditions {
		for _, parts := range c.otherwise() {
			rules = append(rules, nft.NewRule("only on conditions", append(parts, nft.Accept())...))
		}
	}
	if g.MarkBits != 0 {
		const noted = "markMasqBit: a client that is masqueraded"
		if g.MarkAll {
			rules = append(rules, nft.NewRule(noted, nft.SetMark(g.MarkBits)))
		}
		for _, p := range sorted(g.MarkFrom) {
			rules = append(rules, nft.NewRule(noted, nft.Saddr(p), nft.SetMark(g.MarkBits)))
		}
	}
	if g.Limited {
		for _, p := range sorted(g.Allow) {
			rules = append(rules, nft.NewRule("allowFrom", nft.Saddr(p), nft.Return()))
		}
		rules = append(rules, nft.NewRule("nobody else", nft.Accept()))
	}
	return nft.Named(nft.GateChains+network, rules)
}

// otherwise are the matches of packets that do not meet the condition, each list a rule. "None of
// these" needs a rule for each value, "one of these" a single rule in which no value matches.
func (c Condition) otherwise() [][]nft.Part {
	var values []nft.Part
	for _, p := range c.Prefixes {
		if c.Field == Destination {
			values = append(values, nft.Daddr(p))
		} else {
			values = append(values, nft.Saddr(p))
		}
	}
	for _, n := range c.Names {
		values = append(values, nft.Iifname(n))
	}
	for _, m := range c.Marks {
		values = append(values, nft.Mark(m.Value, m.Mask))
	}
	var rules [][]nft.Part
	for i, v := range values {
		if values[i] = v.Not(); c.Not {
			rules = append(rules, []nft.Part{v})
		}
	}
	if !c.Not {
		return [][]nft.Part{values}
	}
	return rules
}
