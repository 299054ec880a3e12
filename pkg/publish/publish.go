// Package publish turns port mappings into a plan for either backend. It reads them from the
// configuration of portmap, or of bridge with the capability portMappings.
//
//	ports, err := publish.Parse(req)           // everything is checked before anything is changed
//	p, err := ports.PlanBehind(addrs, towards) // the ports of a container with these addresses
//	err = p.Add(s)
package publish

import (
	"cmp"
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
	conf   *Conf
	owner  plan.Owner
	byHand bool
}

// Parse reads what the request says of ports, before anything is changed.
func Parse(req *cni.Request) (*Publication, error) {
	c, err := parse(req)
	return &Publication{conf: c, owner: plan.OwnerOf(req)}, err
}

// Empty says whether there is no port to publish, or no address to publish ports of.
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

// Plan is PlanBehind with the links that the host's routes to the addresses have.
func (p *Publication) Plan(s *plan.Session, addrs []netip.Prefix) (plan.Plan, error) {
	if p.Empty(addrs) {
		return plan.Plan{}, nil
	}
	link4, err4 := link.LinkTowards(s, first(addrs, true))
	link6, err6 := link.LinkTowards(s, first(addrs, false))
	if err := cmp.Or(err4, err6); err != nil {
		return plan.Plan{}, cni.WithCode(cni.CodeKernel, err)
	}
	return p.plan(addrs, link4, link6)
}

// ByHand is Plan for ports beside those of the attachment's ADD. Its Del removes only these.
func (p *Publication) ByHand(s *plan.Session, addrs []netip.Prefix) (plan.Plan, error) {
	if p.conf.IPTables {
		return plan.Plan{}, errors.New("the network publishes ports by iptables, whose rules have no place for more: use \"backend\": \"nftables\"")
	}
	p.byHand = true
	return p.Plan(s, addrs)
}

func (p *Publication) plan(addrs []netip.Prefix, link4, link6 link.Towards) (plan.Plan, error) {
	ports, err := p.conf.ports(addrs)
	if err != nil {
		return plan.Plan{}, err
	}
	return inputs{conf: p.conf, owner: p.owner, addrs: addrs, ports: ports, link4: link4, link6: link6, byHand: p.byHand}.plan(), nil
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

// Explain adds a hint to the differences of CHECK if another version or backend published the
// ports.
func (p *Publication) Explain(s *plan.Session, addrs []netip.Prefix, drift error) error {
	var other []string // chains of the backend that the configuration does not name
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
		return cni.Errorf(cni.CodeNotReady, "portmap: %w", err)
	}
	return rules.Close() // nothing was changed
}

// Withdraw removes the attachment's ports: those of the configuration, all others by the
// owner's mark, and those that the reference published. Absent ports are success.
func Withdraw(req *cni.Request, s *plan.Session, addrs []netip.Prefix) error {
	in := inputs{conf: &Conf{SNAT: true, Mappings: tolerantMappings(req)}, owner: plan.OwnerOf(req), addrs: addrs}
	// A mapping that does not fit the addresses was never made.
	in.ports, _ = in.conf.ports(addrs)
	err := in.plan().Del(s)
	if len(addrs) > 0 { // without them Del would also remove ports of other networks
		err = errors.Join(plan.Delete(s, foreign.ReferencePorts{Owner: in.owner, Addrs: addrs}), err)
	}
	return err
}

// Wire is the configuration as JSON has it, for tools that need to know its keys.
func Wire() any { return wire{} }
