package firewall

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// Ports forwards ports of the host to the container. Without ports Add does nothing; Del finds the
// elements by the owner.
type Ports struct {
	Owner plan.Owner
	Ports []hostport.Mapping
	// Subnets are the container's own. Clients in them are masqueraded, and so is the host by its
	// loopback address. Empty with "snat": false.
	Subnets []netip.Prefix
	MasqAll bool // masquerade every client
	// Conditions that a packet must meet to reach the container, by family.
	Conditions4, Conditions6 []ruleset.Condition
	// ByHand: the ports are beside those of the attachment's ADD. Del removes no others.
	ByHand bool
	// MarkBits are set in the mark of packets whose client is masqueraded; 0 for none.
	MarkBits uint32
	more     int // how many elements the mark counts beside these
}

func (p Ports) chain() nft.Chain {
	return ruleset.ReplyChain(p.Owner.Network, p.Subnets, p.MasqAll)
}

func (p Ports) snat() bool { return p.MasqAll || len(p.Subnets) > 0 }

func (p Ports) elements() []nft.Element {
	comment := p.Owner.Comment(nft.CommentLimit)
	if p.ByHand {
		comment = label.ByHand(p.Owner.Comment(nft.CommentLimit - label.ByHandLength))
	}
	var elements []nft.Element
	seen := make(map[netip.Addr]bool)
	for _, port := range p.Ports {
		gate, gated := p.gate(port)
		port.Each(func(hostPort uint16, to netip.AddrPort) {
			e := nft.HostPort(port.HostIP, port.Protocol, hostPort, to, comment)
			elements = append(elements, e)
			if gated {
				at, _ := nft.AtGate(e, gate.Name)
				elements = append(elements, at)
			}
		})
		if to := port.Container.Addr(); p.snat() && !seen[to] {
			seen[to] = true
			elements = append(elements, nft.OfContainer(nft.ClassReply, to, p.chain().Name, comment))
		}
	}
	return withMark(p.Owner, nft.MarkPublished, elements, p.more)
}

// gate is the chain that decides who may use the port; false where everybody may use it.
func (p Ports) gate(port hostport.Mapping) (nft.Chain, bool) {
	g := ruleset.Gate{Conditions: p.Conditions6}
	if port.Container.Addr().Is4() {
		g.Conditions = p.Conditions4
	}
	if port.Allow != nil {
		g.Limited, g.Allow = true, port.Allow.From
	}
	if p.snat() && p.MarkBits != 0 {
		g.MarkBits, g.MarkAll = p.MarkBits, p.MasqAll
		if !p.MasqAll {
			g.MarkFrom = append(slices.Clone(p.Subnets), loopback...)
		}
	}
	if g.Open() {
		return nft.Chain{}, false
	}
	return ruleset.GateChain(p.Owner.Network, g), true
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// Chains are the network's chains that the elements lead to.
func (p Ports) Chains() []nft.Chain {
	var list []nft.Chain
	if p.snat() {
		list = append(list, p.chain())
	}
	seen := make(map[string]bool)
	for _, port := range p.Ports {
		if gate, gated := p.gate(port); gated && !seen[gate.Name] {
			seen[gate.Name] = true
			list = append(list, gate)
		}
	}
	return list
}

// Add queues the elements. A port that another attachment holds is ErrConflict.
func (p Ports) Add(s *plan.Session) error {
	if len(p.Ports) == 0 {
		return nil
	}
	s.Tx.Base()
	if !p.ByHand {
		return p.own().add(s)
	}
	w := p.own()
	last := len(w.elements) - 1
	s.Tx.More(w.elements[last])
	w.elements = w.elements[:last]
	return w.add(s)
}

func (p Ports) own() own {
	return own{p.Owner, "published port", nft.MarkPublished, p.Chains(), p.elements()}
}

// Mend adds what is missing, and forgets the connections that were made without it. A mark that was
// missing counts what was added by hand, too.
func (p Ports) Mend(s *plan.Session) error {
	rules, err := s.Rules()
	if err != nil {
		return err
	}
	all, err := Tagged(rules, nft.CountedBy(nft.MarkPublished), p.Owner.Tag())
	if err != nil {
		return err
	}
	for _, e := range all {
		if names, _ := label.Parse(e.Comment); names.ByHand() {
			p.more++
		}
	}
	return mendPorts(s, p, p.Ports)
}

func mendPorts(s *plan.Session, o plan.Object, ports []hostport.Mapping) error {
	if err := o.Add(s); err != nil {
		return err
	}
	if err := s.Flush(); err != nil {
		return err
	}
	return ForgetOthers(ports).Add(s)
}

// Check looks for each element and for the rules that it leads to.
func (p Ports) Check(s *plan.Session) error { return p.own().check(s) }

// Del removes what belongs to the owner, and then the tracked connections to the container.
func (p Ports) Del(s *plan.Session) error {
	known := p.elements()
	if p.ByHand {
		return Withdraw(s, p.Owner, known)
	}
	for _, e := range known {
		if gate, ok := nft.AtGate(e, ""); ok {
			known = append(known, gate) // DEL's configuration does not say whether the port has a gate
		}
	}
	gone, err := deleteOwned(s, p.Owner, nft.MarkPublished, known)
	if err == nil && gone == nil && len(known) > 0 {
		// An earlier DEL may have been killed between elements and connections. While the link
		// exists, connections may be left: DEL deletes the link after both.
		_, lerr := s.Host.Link(p.Owner.LinkName())
		if errors.Is(lerr, netlink.ErrNoLink) {
			return nil
		}
		gone = known
	}
	return errors.Join(err, forgetForwarded(s, gone))
}

func (p Ports) String() string { return p.own().String() }
