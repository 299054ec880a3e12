package portmap

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// Publication is the ports of an attachment that another plugin of ours publishes
// itself, in its own process: bridge with the capability portMappings.
type Publication struct {
	conf  *Conf
	owner plan.Owner
}

// Publish reads the part of the configuration that portmap reads, before anything is
// changed. Without ports the plan is empty.
func Publish(req *cni.Request) (*Publication, error) {
	c, err := parse(req)
	if err != nil {
		return nil, err
	}
	return &Publication{conf: c, owner: owner(req)}, nil
}

// Plan is what to add for a container with these addresses behind the host's link.
func (p *Publication) Plan(addrs []netip.Prefix, link link.Towards) (plan.Plan, error) {
	if p == nil || len(p.conf.Mappings) == 0 || len(addrs) == 0 {
		return plan.Plan{}, nil
	}
	in := inputs{conf: p.conf, owner: p.owner, addrs: addrs, link4: link, link6: link}
	var err error
	if in.ports, err = p.conf.ports(addrs); err != nil {
		return plan.Plan{}, err
	}
	return in.plan(), nil
}

// Withdraw removes the attachment's ports: those that the configuration names, by the
// owner's mark all others, and those that the reference published.
func Withdraw(req *cni.Request, s *plan.Session, addrs []netip.Prefix) error {
	in := inputs{conf: &Conf{SNAT: true, Mappings: tolerantMappings(req)}, owner: owner(req), addrs: addrs}
	// A mapping that does not fit the addresses was never made.
	in.ports, _ = in.conf.ports(addrs)
	err := in.plan().Del(s)
	if len(addrs) > 0 { // without them it would take what other networks have
		err = errors.Join(plan.Delete(s, foreign.ReferencePorts{Owner: in.owner, Addrs: addrs}), err)
	}
	return err
}
