// Package publish turns port mappings into what is to be made: the part of a configuration
// that portmap reads, and bridge with the capability portMappings, into a plan for either
// backend.
//
//	ports, err := publish.Parse(req)           // everything is checked before anything is changed
//	p, err := ports.PlanBehind(addrs, towards) // the ports of a container with these addresses
//	err = p.Add(s)
package publish

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// Publication is the ports of an attachment.
type Publication struct {
	conf  *Conf
	owner plan.Owner
}

// Parse reads what the request says of ports, before anything is changed.
func Parse(req *cni.Request) (*Publication, error) {
	c, err := parse(req)
	if err != nil {
		return nil, err
	}
	return &Publication{conf: c, owner: plan.OwnerOf(req)}, nil
}

// Empty says that there is nothing to publish, or, on layer 2, nowhere to lead to.
func (p *Publication) Empty(addrs []netip.Prefix) bool {
	return len(p.conf.Mappings) == 0 || len(addrs) == 0
}

// Ports are the ports of a container with these addresses; none on layer 2. byIPTables says
// which backend publishes them.
func (p *Publication) Ports(addrs []netip.Prefix) (list []hostport.Mapping, byIPTables bool, err error) {
	list, err = p.conf.ports(addrs)
	return list, p.conf.IPTables, err
}

// PlanBehind is what to add for a container with these addresses behind the host's link.
// Without ports the plan is empty.
func (p *Publication) PlanBehind(addrs []netip.Prefix, towards link.Towards) (plan.Plan, error) {
	if p.Empty(addrs) {
		return plan.Plan{}, nil
	}
	return p.plan(addrs, towards, towards)
}

// Plan is the same for a container of which nothing but the addresses is known: the host's
// routes tell the links towards it.
func (p *Publication) Plan(s *plan.Session, addrs []netip.Prefix) (plan.Plan, error) {
	if p.Empty(addrs) {
		return plan.Plan{}, nil
	}
	link4, err := link.LinkTowards(s, first(addrs, true))
	if err != nil {
		return plan.Plan{}, cni.WithCode(cni.CodeKernel, err)
	}
	link6, err := link.LinkTowards(s, first(addrs, false))
	if err != nil {
		return plan.Plan{}, cni.WithCode(cni.CodeKernel, err)
	}
	return p.plan(addrs, link4, link6)
}

func (p *Publication) plan(addrs []netip.Prefix, link4, link6 link.Towards) (plan.Plan, error) {
	ports, err := p.conf.ports(addrs)
	if err != nil {
		return plan.Plan{}, err
	}
	return inputs{conf: p.conf, owner: p.owner, addrs: addrs, ports: ports, link4: link4, link6: link6}.plan(), nil
}

// first is the first address of a family, invalid if there is none.
func first(addrs []netip.Prefix, is4 bool) netip.Addr {
	for _, a := range addrs {
		if a.Addr().Is4() == is4 {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

// Explain says of a difference that CHECK found, where it is so, that the ports were
// published by another version or backend.
func (p *Publication) Explain(s *plan.Session, addrs []netip.Prefix, drift error) error {
	var other []string // where our other backend has its rules
	if !p.conf.IPTables {
		other = append(other, firewall.PortsIPTables{Owner: p.owner}.Chain())
	}
	return foreign.Explain(s, p.owner, addrs, drift, other...)
}

// Ready says whether the backend could publish ports now. Errors: CodeNotReady.
func (p *Publication) Ready() error {
	if p.conf.IPTables {
		if err := (iptables.Family{}).Available(); err != nil {
			return cni.Errorf(cni.CodeNotReady, "backend: %w", err)
		}
		return nil
	}
	rules, err := nft.Open()
	if err != nil {
		return cni.Errorf(cni.CodeNotReady, "portmap: %w: load the nf_tables modules", err)
	}
	return rules.Close() // nothing was changed
}

// Withdraw removes the attachment's ports: those that the configuration names, by the
// owner's mark all others, and those that the reference published.
func Withdraw(req *cni.Request, s *plan.Session, addrs []netip.Prefix) error {
	in := inputs{conf: &Conf{SNAT: true, Mappings: tolerantMappings(req)}, owner: plan.OwnerOf(req), addrs: addrs}
	// A mapping that does not fit the addresses was never made.
	in.ports, _ = in.conf.ports(addrs)
	err := in.plan().Del(s)
	if len(addrs) > 0 { // without them it would take what other networks have
		err = errors.Join(plan.Delete(s, foreign.ReferencePorts{Owner: in.owner, Addrs: addrs}), err)
	}
	return err
}

// Wire is the configuration as JSON has it, for tools that need to know its keys.
func Wire() any { return wire{} }
