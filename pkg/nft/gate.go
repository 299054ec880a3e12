package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables/expr"
)

// gatePrefix begins the names of chains that decide who may use a port.
const gatePrefix = "gate-"

// Field is what a condition looks at.
type Field int

// The fields of packets that conditions know.
const (
	Source      Field = iota // address of the client
	Destination              // address of the host that the client used
	Interface                // by which a packet came in; none where the host itself is the client
	Mark                     // of the packet
)

// Condition is one thing that a packet must have, or with Not must not have, to be led
// to the container. One of several values is enough.
type Condition struct {
	Field    Field
	Not      bool
	Prefixes []netip.Prefix // of Source and Destination, of one family
	Names    []string       // of Interface; one that ends in * stands for all that begin so
	Marks    []MarkValue
}

// MarkValue is met by marks that have Value in the bits of Mask.
type MarkValue struct{ Value, Mask uint32 }

// Gate says which clients may use a port, and what is noted of them.
type Gate struct {
	Conditions []Condition // all of them
	Allow      []netip.Prefix
	Limited    bool // only Allow may; without it everybody
	// MarkBits are set in the mark of packets from MarkFrom, or of all with MarkAll.
	MarkBits uint32
	MarkFrom []netip.Prefix
	MarkAll  bool
}

// Open says that the gate lets everybody in and notes nothing, so that none is needed.
func (g Gate) Open() bool { return len(g.Conditions) == 0 && !g.Limited && g.MarkBits == 0 }

// GateChain is the gate as a chain. Who may not enter is accepted there: no
// destination is translated, and the packet goes to the host itself.
func GateChain(network string, g Gate) Chain {
	var rules []Rule
	for _, c := range g.Conditions {
		for _, parts := range c.otherwise() {
			rules = append(rules, rule("only on conditions", append(parts, stop(expr.VerdictAccept))...))
		}
	}
	if g.MarkBits != 0 {
		const noted = "markMasqBit: a client that is masqueraded"
		if g.MarkAll {
			rules = append(rules, rule(noted, setMark(g.MarkBits)))
		}
		for _, p := range sorted(g.MarkFrom) {
			rules = append(rules, rule(noted, source(p), setMark(g.MarkBits)))
		}
	}
	if g.Limited {
		for _, p := range sorted(g.Allow) {
			rules = append(rules, rule("allowFrom", source(p), stop(expr.VerdictReturn)))
		}
		rules = append(rules, rule("nobody else", stop(expr.VerdictAccept)))
	}
	return named(gatePrefix+network, rules)
}

// otherwise is the matches of packets that the condition is not true of, each list a
// rule: "not one of these" needs a rule for each, "one of these" a single rule in which
// none matches.
func (c Condition) otherwise() [][]part {
	var values []part
	for _, p := range c.Prefixes {
		values = append(values, comparePrefix(p, c.Field == Destination, !c.Not))
	}
	for _, n := range c.Names {
		values = append(values, compareName(n, !c.Not))
	}
	for _, m := range c.Marks {
		values = append(values, compareMark(m, !c.Not))
	}
	if !c.Not {
		return [][]part{values}
	}
	var rules [][]part
	for _, v := range values {
		rules = append(rules, []part{v})
	}
	return rules
}

func compareOp(not bool) (expr.CmpOp, string) {
	if not {
		return expr.CmpOpNeq, "!= "
	}
	return expr.CmpOpEq, ""
}

// compareName: iifname [!=] "eth0". A pattern is compared without the zero at the end.
func compareName(name string, not bool) part {
	op, sign := compareOp(not)
	data := []byte(strings.TrimSuffix(name, "*"))
	if !strings.HasSuffix(name, "*") {
		data = ifName(name)
	}
	return part{fmt.Sprintf("iifname %s%q", sign, name), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg1},
		&expr.Cmp{Op: op, Register: reg1, Data: data},
	}}
}

// compareMark: meta mark & 0xff [!=] 0x1
func compareMark(m MarkValue, not bool) part {
	op, sign := compareOp(not)
	exprs := []expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: reg1}}
	masked := ""
	if m.Mask != ^uint32(0) {
		masked = fmt.Sprintf("& 0x%08x ", m.Mask)
		exprs = append(exprs, &expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: native(m.Mask), Xor: make([]byte, 4)})
	}
	exprs = append(exprs, &expr.Cmp{Op: op, Register: reg1, Data: binary.NativeEndian.AppendUint32(nil, m.Value)})
	return part{fmt.Sprintf("meta mark %s%s0x%08x", masked, sign, m.Value), exprs}
}

// gateSets are the maps of gates beside the maps of ports.
var gateSets = map[string]string{
	"hostport4": "hostgate4", "anyport4": "anygate4", "hostport6": "hostgate6", "anyport6": "anygate6",
}

// AtGate leads who comes to a port's element first through a GateChain; false for
// elements that are no port's.
func AtGate(port Element, chain string) (Element, bool) {
	set, ok := gateSets[port.Set]
	key, _, _ := strings.Cut(port.text, " : ")
	return Element{
		Set: set, Key: port.Key, Chain: chain, Comment: port.Comment,
		text: key + " : jump " + chain,
	}, ok
}
