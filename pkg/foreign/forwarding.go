package foreign

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/nft/strangers"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// ForwardAccept lets the bridge's packets through where strangers' rules drop packets that no rule
// accepts. It is shared, needs the Bridge before it, and goes when the bridge is retired.
type ForwardAccept struct{ Bridge string }

// Add inserts the rules into the chains of the host's own firewall.
func (f ForwardAccept) Add(s *plan.Session) error {
	rules, err := s.Rules()
	if err != nil {
		return err
	}
	if err := strangers.Accept(rules, f.Bridge); err != nil {
		return err
	}
	return eachLegacy(func(l iptables.Family) error { return l.AcceptLegacy(f.Bridge) })
}

// eachLegacy calls do for both families, under the lock.
func eachLegacy(do func(iptables.Family) error) error {
	return plan.Locked(func() error { return eachFamily(do) })
}

// eachFamily calls do for both families.
func eachFamily(do func(iptables.Family) error) error {
	return errors.Join(do(iptables.Family{}), do(iptables.Family{IPv6: true}))
}

// Check lists the chains that drop the bridge's packets all the same.
func (f ForwardAccept) Check(s *plan.Session) error { return ForwardBlocked(s, f.Bridge) }

func (f ForwardAccept) String() string {
	return fmt.Sprintf("# nft insert rule FAMILY TABLE CHAIN iifname %q accept, and oifname, in each forward chain that drops", f.Bridge)
}

// ForwardBlocked is nil, or a Drift of ForwardKind with the chains that drop the bridge's packets.
func ForwardBlocked(s *plan.Session, bridge string) error {
	list, err := Blockers(s, bridge)
	if err != nil || len(list) == 0 {
		return err
	}
	names := make([]string, len(list))
	for i, b := range list {
		names[i] = b.String()
	}
	return plan.Drift{{
		Kind: plan.ForwardKind, Object: "bridge " + bridge, Field: "forwarding", Expected: "accept", Actual: strings.Join(names, ", "),
		Text: ": forwarding is blocked by " + strings.Join(names, ", ") + ", which drops what no rule accepts: set \"forwardAccept\": true, or accept the bridge there",
	}}
}

// Blocker is a stranger's chain that drops what a bridge forwards.
type Blocker struct {
	Family, Table, Chain string // of nf_tables, as nft(8) has them
	Legacy               string // the program whose chain FORWARD it is; "" for one of nf_tables
}

func (b Blocker) String() string {
	if b.Legacy != "" {
		return "chain FORWARD of " + b.Legacy
	}
	return fmt.Sprintf("chain %s %s %s", b.Family, b.Table, b.Chain)
}

// Blockers lists the chains that drop the bridge's packets: first those of iptables-legacy.
func Blockers(s *plan.Session, bridge string) ([]Blocker, error) {
	list, err := LegacyBlockers(bridge)
	if err != nil {
		return nil, err
	}
	rules, err := s.Rules()
	if err != nil {
		return list, netlink.Ignore(err, nft.ErrUnsupported)
	}
	chains, err := strangers.Blockers(rules, bridge)
	for _, c := range chains {
		family, table, chain := c.Place()
		list = append(list, Blocker{Family: family, Table: table, Chain: chain})
	}
	return list, err
}

// LegacyBlockers lists those of iptables-legacy.
func LegacyBlockers(bridge string) (list []Blocker, err error) {
	for _, f := range iptables.Families() {
		blocked, err := f.LegacyForward(bridge)
		if err != nil {
			return nil, err
		}
		if blocked && f.IPv6 {
			list = append(list, Blocker{Family: "ip6", Legacy: "ip6tables-legacy"})
		} else if blocked {
			list = append(list, Blocker{Family: "ip", Legacy: "iptables-legacy"})
		}
	}
	return list, nil
}

// RetireBridge is link.Retire with the bridge's rules.
func RetireBridge(s *plan.Session, name string) error {
	return link.Retire(s, name, func() error { return retireRules(s, name) })
}

// retireRules removes the rules that are the bridge's own.
func retireRules(s *plan.Session, name string) error {
	err := eachFamily(func(f iptables.Family) error {
		return f.UnacceptLegacy(func(link string) bool { return nft.OfBridge(link, name) })
	})
	rules, nerr := s.Rules()
	if nerr != nil {
		return errors.Join(err, netlink.Ignore(nerr, nft.ErrUnsupported))
	}
	return errors.Join(err, ruleset.RetireBridge(rules, name))
}
