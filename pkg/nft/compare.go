package nft

import (
	"reflect"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Difference is a chain, or a rule of it, that is not there or not as it should be.
type Difference struct {
	Chain string // "chain inet bridgeport guard"
	Rule  string // "rule `…`"; "" for the chain itself
	Text  string // what follows the chain's name in a sentence
}

// compare reads the chains, nil for a missing one, and the differences of each chain's rules.
func (c *Conn) compare(chains []Chain) (have []*seen, bad [][]Difference, err error) {
	if have, err = c.look(chains...); err != nil {
		return nil, nil, err
	}
	rules, err := c.rulesOf(chains)
	for i := range rules {
		bad = append(bad, compareRules(chains[i].label(), chains[i].rules(), rules[i]))
	}
	return have, bad, err
}

// Missing compares chains with the kernel.
func (c *Conn) Missing(chains ...Chain) ([]Difference, error) {
	have, rules, err := c.compare(chains)
	if err != nil {
		return nil, err
	}
	var bad []Difference
	for i, want := range chains {
		if have[i] == nil {
			bad = append(bad, Difference{Chain: want.label(), Text: " is missing"})
			continue
		}
		if want.Hook != nil && !have[i].is(want.Hook) {
			bad = append(bad, Difference{Chain: want.label(), Text: " is not a base chain with " + want.Hook.String()})
		}
		bad = append(bad, rules[i]...)
	}
	return bad, nil
}

// rulesOf are the rules of each chain. The table of family inet has as many as there are
// networks, and is read as a whole; that of family bridge has some for each attachment.
func (c *Conn) rulesOf(chains []Chain) ([][]kernelRule, error) {
	list := make([][]kernelRule, len(chains))
	var all map[string][]kernelRule
	for i, ch := range chains {
		table, from, err := c.tables[ch.family()], all, error(nil)
		switch {
		case ch.family() == Bridge:
			from, err = c.rules(table, ch.Name)
		case all == nil:
			all, err = c.rules(table, "")
			from = all
		}
		if err != nil {
			return nil, err
		}
		list[i] = from[ch.Name]
		if err := c.literals(table, list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// compareRules looks for each rule by comment and expressions, in order. Others' are no difference.
func compareRules(chain string, want []Rule, have []kernelRule) []Difference {
	var bad []Difference
	have = slices.Clone(have)
	last := -1
	for _, w := range want {
		rule := "rule `" + w.Text + "`"
		at := slices.IndexFunc(have, func(h kernelRule) bool { return h.comment == w.Comment && sameRule(w.exprs, h.exprs) })
		switch {
		case at < 0:
			bad = append(bad, Difference{chain, rule, ": " + rule + " is missing"})
			continue
		case at < last:
			bad = append(bad, Difference{chain, rule, ": " + rule + " stands before those that it must follow"})
		}
		have[at] = kernelRule{} // it is not the next rule, too
		last = max(last, at)
	}
	return bad
}

// Refill writes all rules of those chains anew that lack a rule or have them in another order, in
// one transaction: no packet passes in between. Rules that somebody added go. Add makes missing chains.
func (c *Conn) Refill(chains ...Chain) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	have, bad, err := c.compare(chains)
	if err != nil {
		return err
	}
	for i, ch := range chains {
		if have[i] == nil || len(bad[i]) == 0 {
			continue
		}
		k := &nftables.Chain{Table: c.tables[ch.family()], Name: ch.Name}
		c.nl.FlushChain(k)
		if err := c.queueRules(k, ch); err != nil {
			return err
		}
	}
	return c.Flush("refill chains")
}

// sameShape compares two lists of expressions by what our rules say: the kernel fills in fields
// that a rule leaves open.
func sameShape(a, b []expr.Any) bool {
	return slices.EqualFunc(a, b, func(a, b expr.Any) bool {
		return reflect.TypeOf(a) == reflect.TypeOf(b) && said(a) == said(b)
	})
}

// said is what matters of an expression, beside its type.
func said(e expr.Any) [4]any {
	switch e := e.(type) {
	case *expr.Cmp:
		return [4]any{e.Op, string(e.Data)}
	case *literal:
		return [4]any{e.String()}
	case *expr.Lookup:
		return [4]any{e.SetName, e.Invert, e.SourceRegister, e.DestRegister}
	case *expr.Verdict:
		return [4]any{e.Kind, e.Chain}
	case *expr.Payload:
		return [4]any{e.Base, e.Offset, e.Len, e.DestRegister}
	case *expr.Immediate:
		return [4]any{e.Register, string(e.Data)}
	case *expr.Bitwise:
		return [4]any{string(e.Mask), string(e.Xor)}
	case *expr.Meta:
		return [4]any{e.Key, e.Register}
	case *expr.Dynset:
		return [4]any{e.SetName, e.Operation, e.SrcRegKey}
	case *expr.Reject:
		return [4]any{e.Type, e.Code}
	case *expr.Ct:
		return [4]any{e.Key}
	case *expr.Fib:
		return [4]any{e.FlagDADDR, e.FlagSADDR, e.ResultADDRTYPE}
	case *expr.NAT:
		return [4]any{e.Type, e.Family, e.RegAddrMin, e.RegProtoMin}
	}
	return [4]any{}
}
