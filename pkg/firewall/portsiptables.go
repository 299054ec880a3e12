package firewall

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// PortsIPTables is Ports by the compatible backend. With no ports its Add does
// nothing; its Del removes what the reference plugins left, too.
type PortsIPTables struct {
	Owner plan.Owner
	Ports []hostport.Mapping
	Rules iptables.Ports // what the configuration says; names and ports are filled in
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
	return plan.Locked(func() error { return p.add(s) }) // between looking for a conflict and adding
}

func (p PortsIPTables) add(s *plan.Session) error {
	rules := p.rules()
	rules.Gone = GoneBy(s)
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

// InWords is an error that a person understands, where a port is held.
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

// Mend adds what is missing, and forgets the connections of the time without it.
func (p PortsIPTables) Mend(s *plan.Session) error { return mendPorts(s, p, p.Ports) }

// Check compares the rules.
func (p PortsIPTables) Check(*plan.Session) error {
	c := plan.Compare(plan.RuleKind, "published ports")
	for _, ipv6 := range []bool{false, true} {
		list, err := p.rules().Missing(iptables.Family{IPv6: ipv6})
		if err != nil {
			return fmt.Errorf("published ports: %w", err)
		}
		for _, rule := range list {
			c.Missing("", rule)
		}
	}
	return c.Err()
}

// Del asks the kernel where the chain is, before it executes anything.
func (p PortsIPTables) Del(s *plan.Session) error {
	var errs []error
	families, err := FamiliesWith(s, p.rules().Chain())
	errs = append(errs, err)
	for _, f := range families {
		gone, err := p.rules().Del(f)
		if err != nil {
			errs = append(errs, fmt.Errorf("published ports: %w", err))
		}
		errs = append(errs, ForgetRules(gone))
	}
	return errors.Join(errs...)
}

func (p PortsIPTables) String() string {
	if len(p.Ports) == 0 {
		return ""
	}
	var out []string
	for _, ipv6 := range []bool{false, true} {
		program := "iptables"
		if ipv6 {
			program = "ip6tables"
		}
		for _, line := range p.rules().Lines(ipv6) {
			if chain, ok := strings.CutPrefix(line, ":"); ok {
				line = "-N " + strings.Fields(chain)[0]
			}
			out = append(out, program+" -t nat "+line)
		}
	}
	return strings.Join(out, "\n")
}
