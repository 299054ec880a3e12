package bridge

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Expected is the plan of an attachment, as CHECK compares it. s is open in the container.
func Expected(req *cni.Request, s *plan.Session) (plan.Plan, error) {
	in, err := newInputs(req)
	if err == nil {
		err = plan.Coded(in.expect(req, s))
	}
	if err != nil {
		return plan.Plan{}, err
	}
	return in.plan(), nil
}

// Draft is the plan and the result of an ADD that did not happen.
type Draft struct {
	Plan   plan.Plan
	Result *current.Result
	Addrs  []netip.Prefix
	Out    link.Towards // the host's link towards the container
}

// Planned drafts an ADD that was given the lease.
func Planned(req *cni.Request, s *plan.Session, lease *current.Result) (*Draft, error) {
	in, err := newInputs(req)
	if err == nil {
		err = plan.Coded(in.look(s))
	}
	if err == nil {
		err = in.complete(lease)
	}
	if err != nil {
		return nil, err
	}
	return &Draft{Plan: in.plan(), Result: in.result(req, lease.DNS), Addrs: in.prefixes(), Out: in.towards()}, nil
}

// Wire is the configuration as JSON has it, for tools that need to know its keys.
func Wire() any { return wire{} }

// IdleEgress tells of each entry of egress that can't match: the network has no address of its family,
// or another entry that is asked before says all that it says. names says whether a set of names has
// addresses.
func (c *Conf) IdleEgress(has4, has6 bool, names func(word string) bool) (list []string) {
	if c.Egress == nil {
		return nil
	}
	type entry struct {
		destination
		key string
	}
	var before []entry
	for _, l := range c.Egress.lists() {
		for i, d := range l.of {
			e := entry{d, fmt.Sprintf("%s[%d]", l.key, i)}
			switch {
			case d.Names != "" && !names(d.Names):
				list = append(list, fmt.Sprintf("%s: the sets %s and %s have no address: no resolver fills them", e.key, nft.NamesSet(d.Names, true), nft.NamesSet(d.Names, false)))
			case len(d.To) > 0 && !slices.ContainsFunc(d.To, func(p netip.Prefix) bool { return p.Addr().Is4() && has4 || p.Addr().Is6() && has6 }):
				list = append(list, fmt.Sprintf("%s: %s: the network has no addresses of this family", e.key, d.Entry))
			}
			if at := slices.IndexFunc(before, func(b entry) bool { return b.covers(d) }); at >= 0 {
				list = append(list, fmt.Sprintf("%s: %s: is asked after %s, which says it already", e.key, d.Entry, before[at].key))
			}
			before = append(before, e)
		}
	}
	return list
}

// covers says whether all that o matches d matches, too.
func (d destination) covers(o destination) bool {
	if d.dns || o.dns || d.Host != o.Host || d.Names != o.Names || d.Protocol != 0 && d.Protocol != o.Protocol {
		return d.dns && o.dns
	}
	within := func(p netip.Prefix) bool {
		return slices.ContainsFunc(d.To, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) })
	}
	port := func(p nft.PortRange) bool {
		return slices.ContainsFunc(d.Ports, func(q nft.PortRange) bool { return q.First <= p.First && p.Last <= q.Last })
	}
	return !slices.ContainsFunc(o.To, func(p netip.Prefix) bool { return !within(p) }) &&
		(len(d.Ports) == 0 || len(o.Ports) > 0 && !slices.ContainsFunc(o.Ports, func(p nft.PortRange) bool { return !port(p) }))
}
