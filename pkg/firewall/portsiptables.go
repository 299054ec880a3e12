package firewall

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// PortsIPTables is Ports by the compatible backend. Without ports Add does nothing. Del removes the
// rules of the reference plugins, too.
type PortsIPTables struct {
	Owner plan.Owner
	Ports []hostport.Mapping
	Rules iptables.Ports // what the configuration says, without names and ports
}

func (p PortsIPTables) rules() iptables.Ports {
	r := p.Rules
	r.Network, r.ContainerID = p.Owner.Network, p.Owner.ContainerID
	r.Ports = p.Ports
	return r
}

// PortRules are the rules of the owner's ports, without what the configuration says.
func PortRules(o plan.Owner, ports []hostport.Mapping) iptables.Ports {
	return PortsIPTables{Owner: o, Ports: ports}.rules()
}

// Chain is the name of the container's chain.
func (p PortsIPTables) Chain() string { return p.rules().Chain() }

// Add executes iptables-restore for each family that has ports.
func (p PortsIPTables) Add(s *plan.Session) error {
	if len(p.Ports) == 0 {
		return nil
	}
	if err := s.Flush(); err != nil {
		return err
	}
	return plan.Locked(func() error { return p.add(s) }) // the look for a conflict and the change
}

func (p PortsIPTables) add(s *plan.Session) error {
	rules := p.rules()
	rules.Gone, rules.Opened = GoneBy(s), s.Opened
	if slices.ContainsFunc(p.Ports, hostport.Mapping.Any) {
		services, err := s.Host.AddressesOfKind("dummy")
		if err != nil {
			return fmt.Errorf("addresses of services: %w", err)
		}
		rules.Services = slices.SortedFunc(maps.Keys(services), netip.Addr.Compare)
	}
	if err := rules.Add(iptables.Family{}); err != nil {
		return fmt.Errorf("published ports: %w", InWords(err))
	}
	if err := rules.Add(iptables.Family{IPv6: true}); err != nil {
		return errors.Join(fmt.Errorf("published ports: %w", InWords(err)), p.Del(s))
	}
	return nil
}

// InWords makes the error of a held port a PortHeldError, which is for people.
func InWords(err error) error {
	var held *iptables.HeldError
	if !errors.As(err, &held) {
		return err
	}
	e := &PortHeldError{Holder: held.Rule, Port: "hostPort " + held.Port.String()}
	if held.ContainerID != "" {
		e.Holder = fmt.Sprintf("container %s (network %s)", held.ContainerID, held.Network)
	}
	return e
}

// Mend adds what is missing, and forgets the connections that were made without it.
func (p PortsIPTables) Mend(s *plan.Session) error { return mendPorts(s, p, p.Ports) }

// Check compares the rules.
func (p PortsIPTables) Check(*plan.Session) error {
	return checkIPTables("published ports", p.rules().Missing)
}

// Del asks the kernel where the chain is, before it executes anything.
func (p PortsIPTables) Del(s *plan.Session) error {
	var forget []error
	err := delIPTables(s, "published ports", p.Chain(), func(f iptables.Family) error {
		gone, err := p.rules().Del(f)
		forget = append(forget, ForgetRules(s, gone))
		return err
	})
	return errors.Join(append(forget, err)...)
}

func (p PortsIPTables) String() string { return iptables.Commands(p.rules().Lines) }
