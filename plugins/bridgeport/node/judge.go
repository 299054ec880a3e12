package node

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// Judgement says what a chain at the forward hook does with a packet.
type Judgement struct {
	Chain Chain
	Drops bool   // for certain; else the packet may be dropped
	Where string // the rule, or the policy
}

// Judge knows others' chains, and the sets that their rules look into, each once it was asked for.
type Judge struct {
	chains []Chain
	sets   map[string]*content
}

// NewJudge knows the chains.
func NewJudge(chains []Chain) *Judge { return &Judge{chains, make(map[string]*content)} }

// Of walks through others' chains at the forward hook as the packet would, and through those that they
// jump to. It lists the chains that drop the packet, and those that may, since a rule looks at what is
// not known, such as a mark.
func (judge *Judge) Of(p Forwarded) (list []Judgement) {
	family := map[bool]string{true: "ip", false: "ip6"}[p.IPv4]
	for _, c := range judge.chains {
		if c.Hook != "forward" || c.Type != "filter" || c.Table == nft.Table || c.Family != family && c.Family != "inet" {
			continue
		}
		j := walk{Judge: judge, packet: p}
		switch out := j.chain(c, 0); {
		case out == drops || out == ends && c.DropsRest:
			list = append(list, Judgement{c, true, cmp.Or(j.where, "its policy")})
		case out&drops != 0 || out&ends != 0 && c.DropsRest:
			list = append(list, Judgement{c, false, cmp.Or(j.where, "its policy")})
		}
	}
	return list
}

// Through walks through one chain of ours as the packet would: refused is true where the chain drops or
// rejects it for certain, doubt where the chain may.
func (judge *Judge) Through(family nft.Family, chain string, p Forwarded) (refused, doubt bool, where string) {
	i := slices.IndexFunc(judge.chains, func(c Chain) bool {
		return c.Family == string(family) && c.Table == nft.Table && c.Name == chain
	})
	if i < 0 {
		return false, true, "the chain is missing"
	}
	j := walk{Judge: judge, packet: p, first: true}
	out := j.chain(judge.chains[i], 0)
	return out == drops, out&drops != 0, j.where
}

// outcome is what may become of a packet: one bit, or several where that is not known.
type outcome uint8

const (
	passes outcome = 1 << iota
	drops
	next // rule
	ends // the chain: back to the one that jumped here
)

// anything: a rule that this package can't read.
const anything = passes | drops | next

// match says whether a rule is for the packet.
type match uint8

const (
	yes match = iota
	maybe
	no
)

// walk is that of one packet.
type walk struct {
	*Judge
	packet Forwarded
	where  string // the first rule that drops
	first  bool   // where is a rule of the first chain, though one that it jumps to drops
}

// maxDepth of jumps is NFT_JUMP_STACK_SIZE.
const maxDepth = 16

func (j *walk) chain(c Chain, depth int) (out outcome) {
	if depth > maxDepth {
		return anything | ends
	}
	for _, r := range c.rules {
		o := j.rule(c, r, depth)
		out |= o &^ next
		if o&drops != 0 && (j.where == "" || j.first && depth == 0) {
			j.where = fmt.Sprintf("%s, rule with handle %d", c, r.Handle)
		}
		if o&next == 0 {
			return out
		}
	}
	return out | ends
}

// rule is what may become of the packet at the rule.
func (j *walk) rule(c Chain, r *nftables.Rule, depth int) outcome {
	sure, regs := yes, newRegisters()
	for _, e := range r.Exprs {
		m, out := j.expr(c, regs, e, depth)
		switch {
		case m == no:
			return next
		case m == maybe:
			sure = maybe
		}
		if out != 0 && out != next {
			if sure == maybe {
				out |= next
			}
			return out
		}
	}
	return next
}

// expr is one expression: whether it matches, and what comes of the packet where it ends the rule.
func (j *walk) expr(c Chain, regs registers, e expr.Any, depth int) (match, outcome) {
	switch e := e.(type) {
	case *expr.Meta:
		if !e.SourceRegister {
			regs.load(e.Register, j.packet.meta(e.Key))
		}
	case *expr.Ct:
		if !e.SourceRegister {
			regs.load(e.Register, j.packet.ct(e.Key))
		}
	case *expr.Payload:
		if e.OperationType == expr.PayloadLoad {
			regs.load(e.DestRegister, j.packet.payload(e))
		}
	case *expr.Immediate:
		regs.load(e.Register, certain(e.Data))
	case *expr.Bitwise:
		regs.load(e.DestRegister, regs.read(e.SourceRegister, int(e.Len)).masked(e.Mask, e.Xor))
	case *expr.Byteorder:
		regs.load(e.DestRegister, unknown(e.Len))
	case *expr.Fib:
		regs.load(e.Register, j.packet.fib(e))
	case *expr.Cmp:
		return compared(regs.read(e.Register, len(e.Data)), e.Op, e.Data), 0
	case *expr.Range:
		b := regs.read(e.Register, len(e.FromData))
		within := max(compared(b, expr.CmpOpGte, e.FromData), compared(b, expr.CmpOpLte, e.ToData)) // no is the largest
		return not(within, e.Op == expr.CmpOpNeq), 0
	case *expr.Lookup:
		return j.lookup(c, regs, e, depth)
	case *expr.Match:
		return j.xtMatch(e), 0
	case *expr.Verdict:
		return yes, j.verdict(c, e, depth)
	default:
		return other(e)
	}
	return yes, 0
}

// other is an expression that looks at nothing of the packet, or at what is not known.
func other(e expr.Any) (match, outcome) {
	switch e := e.(type) {
	case *expr.Counter, *expr.Log, *expr.Notrack, *expr.Objref, *expr.FlowOffload, *expr.SecMark:
		return yes, 0
	case *expr.Reject:
		return yes, drops
	case *expr.Queue, *expr.SynProxy:
		return yes, passes | drops
	case *expr.Target: // of iptables
		switch e.Name {
		case "REJECT":
			return yes, drops
		case "LOG", "NFLOG", "MARK", "CONNMARK", "TCPMSS", "CT", "TRACE", "AUDIT":
			return yes, 0
		}
		return maybe, anything
	}
	return maybe, 0
}

func (j *walk) verdict(c Chain, v *expr.Verdict, depth int) outcome {
	switch v.Kind {
	case expr.VerdictAccept:
		return passes
	case expr.VerdictDrop:
		return drops
	case expr.VerdictReturn:
		return ends
	case expr.VerdictJump, expr.VerdictGoto:
		i := slices.IndexFunc(j.chains, func(o Chain) bool { return o.Family == c.Family && o.Table == c.Table && o.Name == v.Chain })
		if i < 0 {
			return anything // changed meanwhile
		}
		out := j.chain(j.chains[i], depth+1)
		if v.Kind == expr.VerdictJump && out&ends != 0 {
			out = out&^ends | next
		}
		return out
	case expr.VerdictContinue, expr.VerdictBreak:
		return next
	}
	return passes | drops // queue
}

func (j *walk) xtMatch(e *expr.Match) match {
	state, flags, invert := uint16(0), uint16(0), uint16(0)
	switch info := e.Info.(type) {
	case *xt.ConntrackMtinfo1:
		state, flags, invert = uint16(info.StateMask), info.MatchFlags, info.InvertFlags
	case *xt.ConntrackMtinfo2:
		state, flags, invert = info.StateMask, info.MatchFlags, info.InvertFlags
	case *xt.ConntrackMtinfo3:
		state, flags, invert = info.StateMask, info.MatchFlags, info.InvertFlags
	default:
		return map[bool]match{true: yes, false: maybe}[e.Name == "comment"]
	}
	if flags != uint16(xt.ConntrackState) {
		return maybe
	}
	const dnat = 1 << 7 // XT_CONNTRACK_STATE_DNAT
	is := state&stateNew != 0 || j.packet.Translated && state&dnat != 0
	return not(map[bool]match{true: yes, false: no}[is], invert&uint16(xt.ConntrackState) != 0)
}

func compared(b bits, op expr.CmpOp, data []byte) match {
	if len(b.value) != len(data) {
		return maybe
	}
	// One byte that is known to differ is enough.
	for i := range data {
		if b.known[i] == 0xff && b.value[i] != data[i] && (op == expr.CmpOpEq || op == expr.CmpOpNeq) {
			return not(no, op == expr.CmpOpNeq)
		}
	}
	if !b.whole() {
		return maybe
	}
	order := bytes.Compare(b.value, data)
	is := map[expr.CmpOp]bool{
		expr.CmpOpEq: order == 0, expr.CmpOpNeq: order != 0, expr.CmpOpLt: order < 0,
		expr.CmpOpLte: order <= 0, expr.CmpOpGt: order > 0, expr.CmpOpGte: order >= 0,
	}[op]
	return not(yes, !is)
}

// not turns yes and no around if the condition holds.
func not(m match, turned bool) match {
	if turned && m != maybe {
		return no - m
	}
	return m
}

// lookup asks a set or a map of verdicts.
func (j *walk) lookup(c Chain, regs registers, e *expr.Lookup, depth int) (match, outcome) {
	isVerdict := e.IsDestRegSet && e.DestRegister == unix.NFT_REG_VERDICT
	if e.IsDestRegSet && !isVerdict {
		regs.load(e.DestRegister, unknown(16))
		return maybe, 0
	}
	m, element := j.find(c, regs, e)
	switch {
	case !isVerdict:
		return not(m, e.Invert), 0
	case m == maybe:
		return maybe, anything | ends
	case m == no:
		return no, 0
	}
	return yes, j.verdict(c, verdictIn(element), depth)
}
