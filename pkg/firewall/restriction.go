package firewall

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// TrafficRules are the chain and the sets that Restriction needs, in the table of Rules. They are
// shared, and need Rules before them.
type TrafficRules struct{}

// Add queues them.
func (TrafficRules) Add(s *plan.Session) error {
	s.Tx.Traffic()
	return nil
}

func (TrafficRules) Chains() []nft.Chain { return ruleset.Traffic().Chains() }

// Check compares chain, hook and rules.
func (t TrafficRules) Check(s *plan.Session) error { return s.CheckChains(t.Chains()...) }

func (TrafficRules) String() string { return ruleset.Traffic().String() }

// Restriction limits who may connect to a container and how many connections the container may
// open. With neither Link nor Connections Add does nothing; Del finds the elements by the owner.
// Restriction needs TrafficRules before it.
type Restriction struct {
	Owner       plan.Owner
	Addrs       []netip.Prefix // the container's
	Link        string         // the only link that may reach the container's own addresses; "" for all
	Connections int            // at once, that the container may open with each address; 0 for any number
}

// ways are the networks' chains, and the classes of the elements that lead to each.
func (r Restriction) ways() (list []nft.Chain, classes []nft.Class) {
	if r.Link != "" {
		list, classes = append(list, ruleset.HideChain(r.Owner.Network, r.Link)), append(classes, nft.ClassHidden)
	}
	if r.Connections > 0 {
		list, classes = append(list, ruleset.LimitChain(r.Owner.Network, uint32(r.Connections))), append(classes, nft.ClassLimited)
	}
	return list, classes
}

func (r Restriction) Chains() []nft.Chain {
	list, _ := r.ways()
	return list
}

func (r Restriction) elements() (elements []nft.Element) {
	chains, classes := r.ways()
	for i, c := range chains {
		for _, a := range r.Addrs {
			elements = append(elements, nft.OfContainer(classes[i], a.Addr(), c.Name, r.Owner.Comment(nft.CommentLimit)))
		}
	}
	return withMark(r.Owner, nft.MarkRestricted, elements, 0)
}

func (r Restriction) own() own {
	return own{r.Owner, "restriction", nft.MarkRestricted, r.Chains(), r.elements()}
}

// Add makes chains and elements at once, before the link comes up.
func (r Restriction) Add(s *plan.Session) error { return r.own().addNow(s) }

// Check looks for each element and for the rules that it leads to.
func (r Restriction) Check(s *plan.Session) error { return r.own().check(s) }

// Del removes what belongs to the owner.
func (r Restriction) Del(s *plan.Session) error { return r.own().del(s) }

func (r Restriction) String() string { return r.own().String() }
