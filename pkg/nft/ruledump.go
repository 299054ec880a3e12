package nft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// kernelRule is a rule of the kernel.
type kernelRule struct {
	comment string
	exprs   []expr.Any // nil stands for an expression that no rule of ours has
}

// rules reads the rules of one chain, or of all chains of the table if chain is "", by
// chain. The library asks for one chain at a time, with a new buffer for each answer.
func (c *Conn) rules(table *nftables.Table, chain string) (map[string][]kernelRule, error) {
	attrs := nameAttr(unix.NFTA_RULE_TABLE, table.Name)
	if chain != "" {
		attrs = netlink.AppendName(attrs, unix.NFTA_RULE_CHAIN, chain)
	}
	found := make(map[string][]kernelRule)
	err := c.ask.DumpAll(question(unix.NFT_MSG_GETRULE, table.Family, attrs), func() { clear(found) },
		func(attrs []byte) error { return parseRule(attrs, byte(table.Family), found) })
	if err != nil {
		return nil, fmt.Errorf("rules: list table %s: %w", table.Name, err)
	}
	return found, nil
}

// parseRule adds the rule to those of its chain.
func parseRule(b []byte, family byte, found map[string][]kernelRule) error {
	rule := kernelRule{comment: commentIn(netlink.Nested(b, unix.NFTA_RULE_USERDATA), userdata.TypeComment)}
	list, err := netlink.Attributes(netlink.Nested(b, unix.NFTA_RULE_EXPRESSIONS))
	errs := []error{err}
	for _, item := range list {
		name, data := netlink.Nested(item.Value, unix.NFTA_EXPR_NAME), netlink.Nested(item.Value, unix.NFTA_EXPR_DATA)
		e, err := parseExpr(family, netlink.CString(name), data)
		rule.exprs = append(rule.exprs, e)
		errs = append(errs, err)
	}
	chain := netlink.CString(netlink.Nested(b, unix.NFTA_RULE_CHAIN))
	found[chain] = append(found[chain], rule)
	return errors.Join(errs...)
}

type kind struct {
	name string
	make func() expr.Any
}

// kinds are the expressions that rules of ours have.
var kinds = []kind{
	{"bitwise", func() expr.Any { return &expr.Bitwise{} }},
	{"cmp", func() expr.Any { return &expr.Cmp{} }},
	{"connlimit", func() expr.Any { return &expr.Connlimit{} }},
	{"counter", func() expr.Any { return &expr.Counter{} }},
	{"ct", func() expr.Any { return &expr.Ct{} }},
	{"dup", func() expr.Any { return &expr.Dup{} }},
	{"dynset", func() expr.Any { return &expr.Dynset{} }},
	{"fib", func() expr.Any { return &expr.Fib{} }},
	{"immediate", func() expr.Any { return &expr.Immediate{} }},
	{"lookup", func() expr.Any { return &expr.Lookup{} }},
	{"masq", func() expr.Any { return &expr.Masq{} }},
	{"meta", func() expr.Any { return &expr.Meta{} }},
	{"nat", func() expr.Any { return &expr.NAT{} }},
	{"notrack", func() expr.Any { return &expr.Notrack{} }},
	{"payload", func() expr.Any { return &expr.Payload{} }},
	{"reject", func() expr.Any { return &expr.Reject{} }},
}

// parseExpr reads an expression of a kind that rules of ours have; nil for others.
func parseExpr(family byte, name string, data []byte) (expr.Any, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return nil, nil
	}
	e := kinds[i].make()
	switch name {
	case "counter", "notrack": // counts are not ours to compare, notrack has no data
		return e, nil
	case "immediate":
		if netlink.Nested(netlink.Nested(data, unix.NFTA_IMMEDIATE_DATA), unix.NFTA_DATA_VERDICT) != nil {
			e = &expr.Verdict{}
		}
	}
	if err := expr.Unmarshal(family, data, e); err != nil {
		return nil, fmt.Errorf("rules: expression %s: %w", name, err)
	}
	return e, nil
}
