package firewall

import (
	"errors"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/nft/strangers"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// FamiliesWith lists the families and variants of iptables that have a chain in their
// table nat, by asking the kernel, without executing anything. "" asks for the table.
func FamiliesWith(s *plan.Session, chain string) ([]iptables.Family, error) {
	if s.Legacy == nil {
		s.Legacy = legacyWith("nat")
	}
	return familiesIn(s, "nat", chain, s.Legacy)
}

// FamiliesGuarding lists those that have the guard of loopback addresses.
func FamiliesGuarding(s *plan.Session) ([]iptables.Family, error) {
	return familiesIn(s, "raw", iptables.GuardChain, legacyWith("raw"))
}

// legacyWith are the families whose legacy table is in use; never nil.
func legacyWith(table string) []iptables.Family {
	list := []iptables.Family{}
	for _, f := range []iptables.Family{{Variant: "legacy"}, {IPv6: true, Variant: "legacy"}} {
		if f.LegacyInUse(table) {
			list = append(list, f)
		}
	}
	return list
}

func familiesIn(s *plan.Session, table, chain string, legacy []iptables.Family) ([]iptables.Family, error) {
	var list []iptables.Family
	over := chain
	if over == "" {
		over = "POSTROUTING"
	}
	rules, err := s.Rules()
	if err == nil {
		var ipv4, ipv6 bool
		ipv4, ipv6, err = strangers.IPTablesChain(rules, table, over)
		if ipv4 {
			list = append(list, iptables.Family{Variant: "nft"})
		}
		if ipv6 {
			list = append(list, iptables.Family{IPv6: true, Variant: "nft"})
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
