// Package firewall is what `nft` would make for attachments, and the same by iptables where a
// configuration asks for that: published ports, masquerade, the spoof check, limits of
// connections, isolation from the LAN. Static rules are made once and shared (Rules,
// FrameRules, TrafficRules); an attachment has elements in their sets and maps, each with the
// owner's tag in its comment.
//
// Ports, Masquerade and Restriction need Rules or TrafficRules before them, SpoofCheck needs
// FrameRules and the attachment's link, LocalNet needs Rules.
//
//	p := firewall.Ports{Owner: owner, Ports: []hostport.Mapping{{Protocol: 6, HostPort: 8080, Container: to}}}
//	fmt.Println(p) // nft add element inet bridgeport anyport4 { tcp . 8080 comment … : 10.88.0.2 . 80 }
package firewall

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// Rules are table, sets and base chains of nf_tables. They are shared.
type Rules struct{}

// Add makes them, at once: what follows relies on the guard.
func (Rules) Add(s *plan.Session) error {
	s.Tx.Base()
	return s.Flush()
}

func (Rules) Chains() []nft.Chain { return ruleset.Base().Chains() }

// Check compares chains, hooks and rules.
func (r Rules) Check(s *plan.Session) error { return s.CheckChains(r.Chains()...) }

func (Rules) String() string { return ruleset.Base().String() }

// Masquerade gives connections from the container the host's address. With no
// addresses its Add does nothing, and its Del finds them by the owner.
type Masquerade struct {
	Owner   plan.Owner
	Addrs   []netip.Prefix // the container's, each with its subnet
	Exclude []netip.Prefix // destinations that must see the container's address
}

func (m Masquerade) chain() nft.Chain {
	skip := append([]netip.Prefix(nil), m.Exclude...)
	for _, a := range m.Addrs {
		skip = append(skip, a.Masked())
	}
	return ruleset.MasqueradeChain(m.Owner.Network, skip)
}

func (m Masquerade) Chains() []nft.Chain {
	if len(m.Addrs) == 0 {
		return nil
	}
	return []nft.Chain{m.chain()}
}

func (m Masquerade) elements() []nft.Element {
	if len(m.Addrs) == 0 {
		return nil
	}
	comment := m.Owner.Comment(nft.CommentLimit)
	chain := m.chain().Name
	var elements []nft.Element
	for _, a := range m.Addrs {
		elements = append(elements, nft.Masquerade(a.Addr(), chain, comment))
	}
	return append(elements, nft.Holder(nft.MarkMasqueraded, m.Owner.LinkName(), markComment(m.Owner, len(elements))))
}

// Add queues the elements.
func (m Masquerade) Add(s *plan.Session) error {
	if len(m.Addrs) == 0 {
		return nil
	}
	addElements(s, m.Chains(), m.elements())
	return nil
}

// Check looks for each element and for the rules it points to.
func (m Masquerade) Check(s *plan.Session) error {
	if len(m.Addrs) == 0 {
		return nil
	}
	return errors.Join(
		checkElements(s, "masquerade", m.Owner, m.elements()),
		s.CheckChains(m.Chains()...))
}

// Del removes what belongs to the owner.
func (m Masquerade) Del(s *plan.Session) error {
	_, err := deleteOwned(s, m.Owner, nft.MarkMasqueraded, m.elements())
	return err
}

func (m Masquerade) String() string {
	if len(m.Addrs) == 0 {
		return ""
	}
	return m.chain().String() + "\n" + elementsText(m.elements())
}

func elementsText(elements []nft.Element) string {
	lines := make([]string, len(elements))
	for i, e := range elements {
		lines[i] = e.String()
	}
	return strings.Join(lines, "\n")
}

// addElements wants chains and elements. An element of somebody who is gone gives way to one
// of ours; one of somebody else is a PortHeldError.
func addElements(s *plan.Session, chains []nft.Chain, elements []nft.Element) {
	s.Tx.Chains(chains...)
	s.Tx.Elements(elements...)
	s.Tx.Gone, s.Tx.Held = Gone, HeldBy
}

func checkElements(s *plan.Session, object string, owner plan.Owner, elements []nft.Element) error {
	rules, err := s.Rules()
	if err != nil {
		return err
	}
	found, err := rules.FindAll(elements)
	if err != nil {
		return err
	}
	d := plan.Compare(plan.ElementKind, object)
	elsewhere := make(map[string]bool)
	for i, e := range elements {
		have := found[i]
		switch {
		case elsewhere[e.Name()]:
		case have == nil:
			d.Missing("element", e.Name())
		case !label.Same(have.Comment, owner.Tag()) && label.SameContainer(have.Comment, e.Comment):
			gone, err := Gone(s, e, *have)
			if err != nil {
				return err
			}
			if gone {
				d.Want("owner of "+e.Name(), owner.Tag(), have.Comment)
				continue
			}
			// The port leads to this container's address on another network, and has
			// the gate that is wanted there.
			gate, _ := nft.AtGate(e, "")
			elsewhere[gate.Name()] = true
		case !label.Same(have.Comment, owner.Tag()):
			d.Want("owner of "+e.Name(), owner.Tag(), have.Comment)
		default:
			d.Want("element", e.Target(), have.Target())
		}
	}
	return d.Err()
}

// markComment is the comment of a holder mark: it counts the owner's elements, so
// that DEL knows whether it has found all of them.
func markComment(owner plan.Owner, n int) string {
	names := strings.TrimPrefix(owner.Comment(nft.CommentLimit-10), owner.Tag())
	return fmt.Sprintf("%s %d%s", owner.Tag(), n, names)
}

// wanted is how many elements there should be, the mark included.
func wanted(comment string) int {
	n, _ := label.Parse(comment)
	if n.Count < 0 {
		return math.MaxInt // somebody changed it: search the maps
	}
	return n.Count + 1
}

// deleteOwned removes the owner's elements. The known ones go by their keys, the
// holder mark with them. Where the mark counts more than are known (a DEL without
// ports or addresses), the maps are searched. It returns what was to be deleted; nil
// where nothing was there.
func deleteOwned(s *plan.Session, owner plan.Owner, mark string, known []nft.Element) ([]nft.Element, error) {
	rules, err := s.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found, err := rules.FindAll(append([]nft.Element{nft.Holder(mark, owner.LinkName(), "")}, known...))
	if err != nil || !slices.ContainsFunc(found, func(e *nft.Element) bool { return e != nil && label.Same(e.Comment, owner.Tag()) }) {
		return nil, err
	}
	held := found[0]
	if held == nil { // somebody deleted the mark alone
		gone, err := rules.Delete(owner.Tag(), known, 0)
		if len(gone) == 0 {
			return nil, err
		}
		return asRead(known, gone), err
	}
	if len(known) == 0 {
		known = []nft.Element{*held}
	}
	gone, err := rules.Delete(owner.Tag(), known, wanted(held.Comment))
	if !errors.Is(err, nft.ErrFewer) {
		return asRead(known, gone), err
	}
	all, err := Tagged(rules, nft.CountedBy(mark), owner.Tag())
	if err != nil {
		return nil, err
	}
	_, err = rules.Delete(owner.Tag(), append(all, *held), 0)
	return all, err
}

// asRead is the known elements, with what the kernel knew of those that are gone.
func asRead(known, gone []nft.Element) []nft.Element {
	list := slices.Clone(known)
	for i, k := range list {
		if at := slices.IndexFunc(gone, k.SameKey); at >= 0 {
			list[i] = gone[at]
		}
	}
	return list
}

// Tagged searches maps for the elements with a tag.
func Tagged(rules *nft.Conn, maps []string, tag string) ([]nft.Element, error) {
	var all []nft.Element
	for _, name := range maps {
		list, err := rules.List(name)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if label.Same(e.Comment, tag) {
				all = append(all, e)
			}
		}
	}
	return all, nil
}
