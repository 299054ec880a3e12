package firewall

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/nft/strangers"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// checkIPTables compares rules of both families. missing lists the rules that are not there.
func checkIPTables(object string, missing func(iptables.Family) ([]string, error)) error {
	c := plan.Compare(plan.RuleKind, object)
	for _, f := range iptables.Families() {
		list, err := missing(f)
		if err != nil {
			return fmt.Errorf("%s: %w", object, err)
		}
		for _, rule := range list {
			c.Missing("", rule)
		}
	}
	return c.Err()
}

// delIPTables calls del for the families that have the chain.
func delIPTables(s *plan.Session, object, chain string, del func(iptables.Family) error) error {
	families, err := FamiliesWith(s, chain)
	errs := []error{err}
	for _, f := range families {
		if err := del(f); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", object, err))
		}
	}
	return errors.Join(errs...)
}

// FamiliesWith lists the families and variants of iptables that have a chain in their table nat;
// "" asks for the table. FamiliesWith asks the kernel and executes nothing.
func FamiliesWith(s *plan.Session, chain string) ([]iptables.Family, error) {
	if s.Legacy == nil {
		s.Legacy = legacyWith("nat")
	}
	return familiesIn(s, "nat", chain, s.Legacy)
}

// FamiliesGuarding lists the families and variants that have the guard of loopback addresses.
func FamiliesGuarding(s *plan.Session) ([]iptables.Family, error) {
	return familiesIn(s, "raw", iptables.GuardChain, legacyWith("raw"))
}

// legacyWith are the families whose legacy table is in use; never nil.
func legacyWith(table string) []iptables.Family {
	return slices.DeleteFunc(iptables.FamiliesOf(iptables.Legacy), func(f iptables.Family) bool { return !f.LegacyInUse(table) })
}

func familiesIn(s *plan.Session, table, chain string, legacy []iptables.Family) (list []iptables.Family, err error) {
	rules, err := s.Rules()
	if err == nil {
		var has [2]bool
		has, err = strangers.IPTablesChain(rules, table, cmp.Or(chain, "POSTROUTING"))
		for i, f := range iptables.FamiliesOf("nft") {
			if has[i] {
				list = append(list, f)
			}
		}
	}
	if err != nil && !errors.Is(err, nft.ErrUnsupported) {
		return list, err
	}
	for _, f := range legacy {
		found := chain == ""
		if !found {
			if found, err = f.LegacyHasChain(table, chain); err != nil {
				return list, err
			}
		}
		if found {
			list = append(list, f)
		}
	}
	return list, nil
}
