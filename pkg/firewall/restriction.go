package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// TrafficRules are the chain and the sets that Restriction needs, in the table of
// Rules. They are shared.
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

// Restriction is what connections to and from a container must not be. With neither
// Link nor Connections its Add does nothing, and its Del finds it by the owner.
type Restriction struct {
	Owner       plan.Owner
	Addrs       []netip.Prefix // the container's
	Link        string         // the only one that may reach the container's own addresses; "" for all
	Connections int            // at once, that the container may open with each address; 0 for any number
}

// ways are the networks' chains, and for each of them how an address gets there.
func (r Restriction) ways() (list []nft.Chain, enter []func(netip.Addr, string, string) nft.Element) {
	if r.Link != "" {
		list, enter = append(list, ruleset.HideChain(r.Owner.Network, r.Link)), append(enter, nft.Hidden)
	}
	if r.Connections > 0 {
		list, enter = append(list, ruleset.LimitChain(r.Owner.Network, uint32(r.Connections))), append(enter, nft.Limited)
	}
	return list, enter
}

func (r Restriction) Chains() []nft.Chain {
	list, _ := r.ways()
	return list
}

func (r Restriction) elements() []nft.Element {
	comment := r.Owner.Comment(nft.CommentLimit)
	chains, enter := r.ways()
	var elements []nft.Element
	for i, c := range chains {
		for _, a := range r.Addrs {
			elements = append(elements, enter[i](a.Addr(), c.Name, comment))
		}
	}
	if len(elements) == 0 {
		return nil
	}
	return append(elements, nft.Holder(nft.MarkRestricted, r.Owner.LinkName(), markComment(r.Owner, len(elements))))
}

// Add puts chains and elements in place at once, before the link comes up.
func (r Restriction) Add(s *plan.Session) error {
	elements := r.elements()
	if len(elements) == 0 {
		return nil
	}
	addElements(s, r.Chains(), elements)
	return s.Flush()
}

// Check looks for each element and for the rules it leads to.
func (r Restriction) Check(s *plan.Session) error {
	chains := r.Chains()
	if len(chains) == 0 {
		return nil
	}
	return errors.Join(checkElements(s, "restriction", r.Owner, r.elements()), s.CheckChains(chains...))
}

// Del removes what belongs to the owner.
func (r Restriction) Del(s *plan.Session) error {
	_, err := deleteOwned(s, r.Owner, nft.MarkRestricted, r.elements())
	return err
}

func (r Restriction) String() string {
	var b strings.Builder
	chains := r.Chains()
	for _, c := range chains {
		fmt.Fprintln(&b, c)
	}
	return b.String() + elementsText(r.elements())
}
