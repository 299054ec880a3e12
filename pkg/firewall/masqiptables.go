package firewall

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// MasqueradeIPTables is Masquerade by the compatible backend. Without addresses Add does nothing.
// Del removes the rules of the reference plugins, too.
type MasqueradeIPTables struct {
	Owner   plan.Owner
	Addrs   []netip.Prefix // the container's, each with its subnet
	Exclude []netip.Prefix // destinations that must see the container's address
	// Known are the addresses that Del removes beside Addrs. Without any address Del removes the
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
	for _, f := range iptables.Families() {
		if err := m.rules(m.Addrs).Add(f); err != nil {
			return errors.Join(fmt.Errorf("masquerade: %w", err), m.Del(s))
		}
	}
	return nil
}

// Check compares the rules.
func (m MasqueradeIPTables) Check(*plan.Session) error {
	return checkIPTables("masquerade", m.rules(m.Addrs).Missing)
}

// Chain is the name of the container's chain.
func (m MasqueradeIPTables) Chain() string { return m.rules(nil).Chain() }

// Del asks the kernel where the chain is, before it executes anything.
func (m MasqueradeIPTables) Del(s *plan.Session) error {
	return delIPTables(s, "masquerade", m.Chain(), m.rules(append(m.Known, m.Addrs...)).Del)
}

func (m MasqueradeIPTables) String() string { return iptables.Commands(m.rules(m.Addrs).Lines) }
