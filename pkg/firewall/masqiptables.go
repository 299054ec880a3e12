package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// MasqueradeIPTables is Masquerade by the compatible backend. With no addresses its
// Add does nothing; its Del removes what the reference plugins left, too.
type MasqueradeIPTables struct {
	Owner   plan.Owner
	Addrs   []netip.Prefix // the container's, each with its subnet
	Exclude []netip.Prefix // destinations that must see the container's address
	// Known are addresses for Del, where Addrs are not. Without any, Del removes the
	// rules of all the container's interfaces in the network.
	Known []netip.Prefix
}

func (m MasqueradeIPTables) rules(addrs []netip.Prefix) iptables.Masquerade {
	return iptables.Masquerade{Network: m.Owner.Network, ContainerID: m.Owner.ContainerID, Addrs: addrs, Exclude: m.Exclude}
}

// Add executes iptables-restore for each family.
func (m MasqueradeIPTables) Add(s *plan.Session) error {
	if len(m.Addrs) == 0 {
		return nil
	}
	if err := s.Flush(); err != nil {
		return err
	}
	for _, ipv6 := range []bool{false, true} {
		if err := m.rules(m.Addrs).Add(iptables.Family{IPv6: ipv6}); err != nil {
			return errors.Join(fmt.Errorf("masquerade: %w", err), m.Del(s))
		}
	}
	return nil
}

// Check compares the rules.
func (m MasqueradeIPTables) Check(*plan.Session) error {
	c := plan.Compare(plan.RuleKind, "masquerade")
	for _, ipv6 := range []bool{false, true} {
		list, err := m.rules(m.Addrs).Missing(iptables.Family{IPv6: ipv6})
		if err != nil {
			return fmt.Errorf("masquerade: %w", err)
		}
		for _, rule := range list {
			c.Missing("", rule)
		}
	}
	return c.Err()
}

// Chain is the name of the container's chain.
func (m MasqueradeIPTables) Chain() string { return m.rules(nil).Chain() }

// Del asks the kernel where the chain is, before it executes anything.
func (m MasqueradeIPTables) Del(s *plan.Session) error {
	rules := m.rules(append(m.Known, m.Addrs...))
	var errs []error
	families, err := FamiliesWith(s, rules.Chain())
	errs = append(errs, err)
	for _, f := range families {
		if err := rules.Del(f); err != nil {
			errs = append(errs, fmt.Errorf("masquerade: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (m MasqueradeIPTables) String() string {
	if len(m.Addrs) == 0 {
		return ""
	}
	var out []string
	for _, ipv6 := range []bool{false, true} {
		program := "iptables"
		if ipv6 {
			program = "ip6tables"
		}
		for _, line := range m.rules(m.Addrs).Lines(ipv6) {
			if chain, ok := strings.CutPrefix(line, ":"); ok {
				line = "-N " + strings.Fields(chain)[0]
			}
			out = append(out, program+" -t nat "+line)
		}
	}
	return strings.Join(out, "\n")
}
