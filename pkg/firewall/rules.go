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
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// Rules are table, sets and base chains of nf_tables. They are shared.
type Rules struct{}

// Add makes them at once: what follows relies on the guard.
func (Rules) Add(s *plan.Session) error {
	s.Tx.Base()
	return s.Flush()
}

func (Rules) Chains() []nft.Chain { return ruleset.Base().Chains() }

// Check compares chains, hooks and rules.
func (r Rules) Check(s *plan.Session) error { return s.CheckChains(r.Chains()...) }

func (Rules) String() string { return ruleset.Base().String() }

// Masquerade gives connections from the container the host's address. Without addresses Add does
// nothing; Del finds the elements by the owner. Masquerade needs Rules before it.
type Masquerade struct {
	Owner   plan.Owner
	Addrs   []netip.Prefix // the container's, each with its subnet
	Exclude []netip.Prefix // destinations that must see the container's address
}

func (m Masquerade) Chains() []nft.Chain {
	if len(m.Addrs) == 0 {
		return nil
	}
	skip := slices.Clone(m.Exclude)
	for _, a := range m.Addrs {
		skip = append(skip, a.Masked())
	}
	return []nft.Chain{ruleset.MasqueradeChain(m.Owner.Network, skip)}
}

func (m Masquerade) elements() (elements []nft.Element) {
	for _, c := range m.Chains() {
		for _, a := range m.Addrs {
			elements = append(elements, nft.OfContainer(nft.ClassMasquerade, a.Addr(), c.Name, m.Owner.Comment(nft.CommentLimit)))
		}
	}
	return withMark(m.Owner, nft.MarkMasqueraded, elements, 0)
}

func (m Masquerade) own() own {
	return own{m.Owner, "masquerade", nft.MarkMasqueraded, m.Chains(), m.elements()}
}

// Add queues the elements.
func (m Masquerade) Add(s *plan.Session) error { return m.own().add(s) }

// Check looks for each element and for the rules that it leads to.
func (m Masquerade) Check(s *plan.Session) error { return m.own().check(s) }

// Del removes what belongs to the owner.
func (m Masquerade) Del(s *plan.Session) error { return m.own().del(s) }

func (m Masquerade) String() string { return m.own().String() }

// own is an owner's elements of one object, with the mark that counts them as the last, and the
// chains that they lead to.
type own struct {
	owner        plan.Owner
	object, mark string // the object for findings, the mark's set
	chains       []nft.Chain
	elements     []nft.Element
}

// withMark appends the mark, which counts the elements and more that the owner has; nil without elements.
func withMark(o plan.Owner, mark string, elements []nft.Element, more int) []nft.Element {
	if len(elements) == 0 {
		return nil
	}
	return append(elements, nft.Holder(mark, o.LinkName(), markComment(o, len(elements)+more)))
}

// add queues chains and elements. An element whose holder is gone gives way to the owner's; an
// element of another attachment is a PortHeldError.
func (w own) add(s *plan.Session) error {
	if len(w.elements) > 0 {
		s.Tx.Chains(w.chains...)
		s.Tx.Elements(w.elements...)
		s.Tx.Gone, s.Tx.Held = Gone, HeldBy
	}
	return nil
}

// addSoon is add of what must hold before the link carries packets.
func (w own) addSoon(s *plan.Session) error {
	if len(w.elements) > 0 {
		s.Tx.Soon()
	}
	return w.add(s)
}

func (w own) check(s *plan.Session) error {
	if len(w.elements) == 0 {
		return nil
	}
	return errors.Join(checkElements(s, w.object, w.owner, w.elements), s.CheckChains(w.chains...))
}

func (w own) del(s *plan.Session) error {
	_, err := deleteOwned(s, w.owner, w.mark, w.elements)
	return err
}

// String is the nft(8) commands that make chains and elements.
func (w own) String() string {
	var lines []string
	if len(w.elements) > 0 {
		for _, c := range w.chains {
			lines = append(lines, c.String())
		}
	}
	for _, e := range w.elements {
		lines = append(lines, e.String())
	}
	return strings.Join(lines, "\n")
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
			// The port sends packets to this container's address on another network, and has
			// that network's gate.
			gate, _ := nft.AtGate(e, "")
			elsewhere[gate.Name()] = true
		case !label.Same(have.Comment, owner.Tag()):
			d.Want("owner of "+e.Name(), owner.Tag(), have.Comment)
		case e.Class() == nft.ClassGate && gateDigest(e.Chain) == gateDigest(have.Chain):
		default:
			d.Want("element", e.Target(), have.Target())
		}
	}
	return d.Err()
}

// gateDigest stands for the rules of a gate (nft.Named). The gate of an inherited port has the name
// of the network that had the port before.
func gateDigest(chain string) string { return chain[strings.LastIndex(chain, "-")+1:] }

// markComment is the comment of a mark. It counts the owner's elements, so that DEL knows whether
// it has found all of them.
func markComment(owner plan.Owner, n int) string {
	names := strings.TrimPrefix(owner.Comment(nft.CommentLimit-10), owner.Tag())
	return fmt.Sprintf("%s %d%s", owner.Tag(), n, names)
}

// wanted is how many elements the mark's comment expects, the mark included.
func wanted(comment string) int {
	n, _ := label.Parse(comment)
	if n.Count < 0 {
		return math.MaxInt // somebody changed the comment: search the maps
	}
	return n.Count + 1
}

// deleteOwned removes the owner's elements and their mark. It finds the known elements by their
// keys. Where the mark counts more than the known ones (a DEL without ports or addresses), it
// searches the maps. It returns the elements that were to be deleted; nil where nothing was there.
func deleteOwned(s *plan.Session, owner plan.Owner, mark string, known []nft.Element) ([]nft.Element, error) {
	rules, err := s.Rules()
	if err != nil {
		return nil, netlink.Ignore(err, nft.ErrUnsupported)
	}
	found, err := rules.FindAll(append([]nft.Element{nft.Holder(mark, owner.LinkName(), "")}, known...))
	if err != nil || !slices.ContainsFunc(found, func(e *nft.Element) bool { return e != nil && label.Same(e.Comment, owner.Tag()) }) {
		return nil, err
	}
	if err := HandOver(s, owner.Tag(), present(found)); err != nil {
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
	// `bridgeport publish` may have added elements since the mark was read: then its count differs.
	grown := slices.ContainsFunc(gone, func(e nft.Element) bool {
		return e.Class() == nft.ClassMark && wanted(e.Comment) != wanted(held.Comment)
	})
	if !errors.Is(err, nft.ErrFewer) && !grown {
		return asRead(known, gone), err
	}
	all, err := Tagged(rules, nft.CountedBy(mark), owner.Tag())
	if err != nil {
		return nil, err
	}
	if err := HandOver(s, owner.Tag(), all); err != nil {
		return nil, err
	}
	_, err = rules.Delete(owner.Tag(), append(all, *held), 0)
	if grown {
		all = append(all, asRead(known, gone)...)
	}
	return all, err
}

// asRead is the known elements, each as the kernel had it if it was deleted.
func asRead(known, gone []nft.Element) []nft.Element {
	read := make(map[string]nft.Element, len(gone)) // of thousands of ports
	for _, g := range gone {
		read[g.Name()] = g
	}
	list := slices.Clone(known)
	for i, k := range list {
		if g, ok := read[k.Name()]; ok {
			list[i] = g
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
