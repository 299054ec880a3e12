package firewall

import (
	"errors"
	"net"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/conntrack"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"golang.org/x/sys/unix"
)

// EgressRules are the chains and sets that Egress needs, in the tables of Rules and of FrameRules.
// They are shared.
type EgressRules struct{}

func (EgressRules) blocks() blocks { return blocks{ruleset.Egress(), ruleset.Neighbours()} }

// Add queues them.
func (e EgressRules) Add(s *plan.Session) error { return e.blocks().add(s) }

func (e EgressRules) Chains() []nft.Chain { return e.blocks().chains() }

// Check compares chains, hooks and rules.
func (e EgressRules) Check(s *plan.Session) error { return s.CheckChains(e.Chains()...) }

func (e EgressRules) String() string { return e.blocks().String() }

// Egress limits where a container may send: to the host, by it, and to its neighbours on the bridge.
// Without a Policy Add does nothing; Del finds the elements by the owner. Egress knows the container
// by its addresses and its port, so it relies on a SpoofCheck of both. It needs EgressRules before it.
type Egress struct {
	Owner  plan.Owner
	Link   string           // that what the container sends to the host, or by it, comes in by
	MAC    net.HardwareAddr // the container's, from which its link-local address follows
	Addrs  []netip.Prefix   // the container's, with its subnets
	Policy *ruleset.Policy  // nil for none
}

func (e Egress) Chains() []nft.Chain {
	if e.Policy == nil {
		return nil
	}
	var near []netip.Prefix
	for _, a := range e.Addrs {
		near = append(near, a.Masked())
	}
	return ruleset.EgressChains(e.Owner.Network, near, *e.Policy)
}

func (e Egress) own() own {
	var elements []nft.Element
	chains, comment := e.Chains(), e.Owner.Comment(nft.CommentLimit)
	for _, c := range chains {
		if c.Family == nft.Bridge {
			elements = append(elements, nft.OfPort(nft.ClassNeighbours, e.Owner.LinkName(), c.Name, comment))
			continue
		}
		elements = append(elements, nft.Sending(e.Link, linkLocal(e.MAC), c.Name, comment))
		for _, a := range e.Addrs {
			elements = append(elements, nft.Sending(e.Link, a.Addr(), c.Name, comment))
		}
	}
	return own{e.Owner, "egress", nft.MarkConfined, chains, withMark(e.Owner, nft.MarkConfined, elements, 0)}
}

// Add queues chains and elements. Plan.Add flushes them before the link comes up.
func (e Egress) Add(s *plan.Session) error { return e.own().addSoon(s) }

// Check looks for each element and for the rules that it leads to.
func (e Egress) Check(s *plan.Session) error { return e.own().check(s) }

// Del removes what belongs to the owner, and forgets the connections to its addresses: to answer them is
// what the next container with such an address may do, wherever they lead.
func (e Egress) Del(s *plan.Session) error {
	w := e.own()
	gone, err := deleteOwned(s, w.owner, w.mark, w.elements)
	var filters []conntrack.Filter
	for _, g := range gone {
		for _, protocol := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			if a := g.Address(); a.IsValid() && !a.IsLinkLocalUnicast() {
				filters = append(filters, conntrack.Filter{IPv6: a.Is6(), Protocol: protocol, Server: netip.AddrPortFrom(a, 0)})
			}
		}
	}
	return errors.Join(err, Forget(s, filters...))
}

func (e Egress) String() string { return e.own().String() }
