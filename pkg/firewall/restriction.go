package firewall

import (
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// TrafficRules are the chains and the sets that Restriction needs, in the table of Rules. They are
// shared, and need Rules before them.
type TrafficRules struct {
	Isolation bool // those of Restriction.Isolation, too
}

func (t TrafficRules) blocks() blocks {
	if t.Isolation {
		return blocks{ruleset.Traffic(), ruleset.Isolation()}
	}
	return blocks{ruleset.Traffic()}
}

// Add queues them.
func (t TrafficRules) Add(s *plan.Session) error { return t.blocks().add(s) }

func (t TrafficRules) Chains() []nft.Chain { return t.blocks().chains() }

// Check compares chains, hooks and rules.
func (t TrafficRules) Check(s *plan.Session) error { return s.CheckChains(t.Chains()...) }

func (t TrafficRules) String() string { return t.blocks().String() }

// blocks are what objects share, in the tables of Rules and of FrameRules.
type blocks []nft.Block

func (b blocks) add(s *plan.Session) error {
	s.Tx.Blocks(b...)
	return nil
}

func (b blocks) chains() (chains []nft.Chain) {
	for _, one := range b {
		chains = append(chains, one.Chains()...)
	}
	return chains
}

func (b blocks) String() string {
	var texts []string
	for _, one := range b {
		texts = append(texts, one.String())
	}
	return strings.Join(texts, "\n")
}

// Isolation is how a network is kept apart from the others.
type Isolation int

// The isolations.
const (
	NotIsolated     Isolation = iota
	IsolatedNetwork           // from networks behind gateways of ours
	IsolatedStrict            // from all behind bridges
)

// Restriction limits who may connect to a container, how many connections the container may open,
// and to which networks. Without Hidden, Connections and Isolation Add does nothing; Del finds the
// elements by the owner. Restriction needs TrafficRules before it.
type Restriction struct {
	Owner       plan.Owner
	Addrs       []netip.Prefix // the container's
	Links       []string       // that packets of the container come in by: the bridge, the gateway of its VLAN
	Hidden      bool           // only Links reach the container's own addresses
	Isolation   Isolation
	Connections int // at once, that the container may open with each address; 0 for any number
}

// ways are the networks' chains, and the classes of the elements that lead to each.
func (r Restriction) ways() (list []nft.Chain, classes []nft.Class) {
	if r.Hidden {
		list, classes = append(list, ruleset.HideChain(r.Owner.Network, r.Links)), append(classes, nft.ClassHidden)
	}
	if r.Connections > 0 {
		list, classes = append(list, ruleset.LimitChain(r.Owner.Network, uint32(r.Connections))), append(classes, nft.ClassLimited)
	}
	if r.Isolation != NotIsolated {
		list = append(list, ruleset.NetworkChain(r.Owner.Network, r.Links, r.Isolation == IsolatedStrict))
		classes = append(classes, nft.ClassIsolated)
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

// Add queues chains and elements. Plan.Add flushes them before the link comes up.
func (r Restriction) Add(s *plan.Session) error { return r.own().addSoon(s) }

// Check looks for each element and for the rules that it leads to.
func (r Restriction) Check(s *plan.Session) error { return r.own().check(s) }

// Del removes what belongs to the owner.
func (r Restriction) Del(s *plan.Session) error { return r.own().del(s) }

func (r Restriction) String() string { return r.own().String() }
