// Package owned is the one list of what an attachment may own. ADD fills it in, DEL deletes it, GC
// sweeps what belongs to no valid attachment, and the operator's gc and repair read it.
//
//	all := owned.By(owner, addrs)
//	err := all.Plan().Del(s)                                  // DEL
//	err = owned.Sweep(s, network, valid, owned.Everything)    // GC
package owned

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// All is the attachment's link and all that does not go with it. ADD fills in what its
// configuration wants; the Owner alone is enough to delete it all.
type All struct {
	Veth               link.Veth
	SpoofCheck         firewall.SpoofCheck
	Egress             firewall.Egress
	Restriction        firewall.Restriction
	Masquerade         firewall.Masquerade
	MasqueradeIPTables firewall.MasqueradeIPTables
	Ports              firewall.Ports
	PortsIPTables      firewall.PortsIPTables
}

// By is what the owner may own. addrs, the container's as far as they are known, save a search.
func By(o plan.Owner, addrs []netip.Prefix) All {
	return All{
		Veth:       link.Veth{Owner: o, IfName: o.IfName},
		SpoofCheck: firewall.SpoofCheck{Owner: o}, Egress: firewall.Egress{Owner: o}, Restriction: firewall.Restriction{Owner: o},
		Masquerade: firewall.Masquerade{Owner: o, Addrs: addrs}, MasqueradeIPTables: firewall.MasqueradeIPTables{Owner: o, Known: addrs},
		Ports: firewall.Ports{Owner: o}, PortsIPTables: firewall.PortsIPTables{Owner: o},
	}
}

// Published are the ports, by both backends.
func (w All) Published() []plan.Object { return []plan.Object{w.Ports, w.PortsIPTables} }

// Bounds are the rules about the container's own traffic.
func (w All) Bounds() []plan.Object {
	return []plan.Object{w.SpoofCheck, w.Egress, w.Restriction, w.Masquerade, w.MasqueradeIPTables}
}

// Plan is all of it.
func (w All) Plan() plan.Plan {
	return plan.Plan{Link: []plan.Object{w.Veth}, Bounds: w.Bounds(), Own: w.Published()}
}

// Part is how much of an attachment is meant.
type Part int

// The parts.
const (
	Everything Part = iota
	PortsOnly       // published ports
	RulesOnly       // everything but the link
)

// marksOf are the marks of what an attachment may have in the part.
func marksOf(part Part) []string {
	if part == PortsOnly {
		return []string{nft.MarkPublished}
	}
	return nft.Marks()
}

// setsOf are the sets in which owners have elements for one purpose, the mark first.
func setsOf(mark string) []string { return append([]string{mark}, nft.CountedBy(mark)...) }

// Owners lists the tags of a network's attachments that have links or rules in the kernel. It reads
// whole maps, as only GC may: elements may be left without their mark where a stranger deleted it.
func Owners(s *plan.Session, network string, part Part) ([]string, error) {
	var tags []string
	if part == Everything {
		links, err := link.Tagged(s, func(tag string) bool { return plan.OfNetwork(tag, network) })
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			tags = append(tags, label.Tag(l.Alias))
		}
	}
	rules, err := s.Rules()
	if err != nil {
		return tags, netlink.Ignore(err, nft.ErrUnsupported)
	}
	for _, mark := range marksOf(part) {
		for _, set := range setsOf(mark) {
			var elements []nft.Element
			if elements, err = rules.List(set); err != nil {
				break
			}
			for _, e := range elements {
				if tag := label.Tag(e.Comment); plan.OfNetwork(tag, network) {
					tags = append(tags, tag)
				}
			}
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags), err
}

// Sweep removes what the attachments of a network that are not in valid have left: links
// and rules of ours by both backends, and rules of the reference plugins. The rules of
// iptables and of the reference know the container, not the interface.
func Sweep(s *plan.Session, network string, valid []plan.Owner, part Part) error {
	tags, ids := make(map[string]bool), make(map[string]bool)
	for _, o := range valid {
		tags[o.Tag()], ids[o.ContainerID] = true, true
	}
	found, err := Owners(s, network, part)
	errs := []error{err}
	if part == Everything {
		errs = append(errs, link.DropTagged(s, func(tag string) bool { return plan.OfNetwork(tag, network) && !tags[tag] }))
	}
	for _, tag := range found {
		if !tags[tag] {
			errs = append(errs, Remove(s, tag, part))
		}
	}
	errs = append(errs, foreign.SweepIPTables(s, network, ids))
	if part == Everything {
		errs = append(errs, foreign.SweepReferenceMasquerade(s, network, valid))
	}
	return errors.Join(append(errs, foreign.SweepReferencePorts(s, network, ids))...)
}

// Remove removes the rules of an attachment of which only the tag is known. Its link, which
// the rules keep in bounds, goes before.
func Remove(s *plan.Session, tag string, part Part) error {
	rules, err := s.Rules()
	if err != nil {
		return netlink.Ignore(err, nft.ErrUnsupported)
	}
	var errs []error
	for _, mark := range marksOf(part) {
		all, err := firewall.Tagged(rules, setsOf(mark), tag)
		if err == nil {
			err = firewall.HandOver(s, tag, all)
		}
		if err == nil && len(all) > 0 {
			_, err = rules.Delete(tag, all, 0)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
