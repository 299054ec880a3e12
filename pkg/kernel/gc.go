package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// Owned is everything that an attachment may own and that does not go with its link, the
// link included. ADD fills in what its configuration wants; the Owner alone is enough to
// delete it all.
type Owned struct {
	Veth               Veth
	SpoofCheck         SpoofCheck
	Restriction        Restriction
	Masquerade         Masquerade
	MasqueradeIPTables MasqueradeIPTables
	Ports              Ports
	PortsIPTables      PortsIPTables
}

// OwnedBy is what the owner may own. addrs are the container's addresses, as far as they are
// known: they save a search.
func OwnedBy(o Owner, addrs []netip.Prefix) Owned {
	return Owned{
		Veth:       Veth{Owner: o, IfName: o.IfName},
		SpoofCheck: SpoofCheck{Owner: o}, Restriction: Restriction{Owner: o},
		Masquerade: Masquerade{Owner: o, Addrs: addrs}, MasqueradeIPTables: MasqueradeIPTables{Owner: o, Known: addrs},
		Ports: Ports{Owner: o}, PortsIPTables: PortsIPTables{Owner: o},
	}
}

// Published are the ports, by both backends.
func (w Owned) Published() []Object { return []Object{w.Ports, w.PortsIPTables} }

// Bounds are the rules about the container's own traffic.
func (w Owned) Bounds() []Object {
	return []Object{w.SpoofCheck, w.Restriction, w.Masquerade, w.MasqueradeIPTables}
}

// Plan is all of it.
func (w Owned) Plan() Plan {
	return Plan{Link: []Object{w.Veth}, Bounds: w.Bounds(), Own: w.Published()}
}

// Part is how much of an attachment is meant.
type Part int

// The parts.
const (
	Everything Part = iota
	PortsOnly       // published ports
	RulesOnly       // everything but the link
)

// holding is what attachments have in the rules for one purpose: elements of maps, and a
// mark for each owner that counts them.
type holding struct {
	mark string
	maps []string
}

// holdings are all that an attachment may have in the part.
func holdings(part Part) []holding {
	ports := holding{"published", portMaps()}
	if part == PortsOnly {
		return []holding{ports}
	}
	return []holding{ports, {"masqueraded", masqueradeMaps()}, {"guarded", guardSets()}, {"restricted", restrictionMaps()}}
}

func (g holding) sets() []string { return append([]string{g.mark}, g.maps...) }

// Owners lists the tags of the attachments of a network that exist in the kernel, as links
// or as rules. GC may read whole maps: one may be left without the mark where somebody else
// deleted something.
func Owners(s *Session, network string, part Part) ([]string, error) {
	var tags []string
	if part == Everything {
		links, err := s.Host.Links()
		if err != nil {
			return nil, fmt.Errorf("list links: %w", err)
		}
		for _, l := range links {
			if tag := tagOf(l.Alias); l.Kind == "veth" && ofNetwork(tag, network) {
				tags = append(tags, tag)
			}
		}
	}
	rules, err := s.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return tags, nil
	}
	if err != nil {
		return tags, err
	}
	for _, g := range holdings(part) {
		for _, set := range g.sets() {
			var elements []nft.Element
			if elements, err = rules.List(set); err != nil {
				break
			}
			for _, e := range elements {
				if tag := tagOf(e.Comment); ofNetwork(tag, network) {
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
func Sweep(s *Session, network string, valid []Owner, part Part) error {
	tags, ids := make(map[string]bool), make(map[string]bool)
	for _, o := range valid {
		tags[o.Tag()], ids[o.ContainerID] = true, true
	}
	found, err := Owners(s, network, part)
	errs := []error{err}
	for _, tag := range found {
		if !tags[tag] {
			errs = append(errs, Remove(s, tag, part))
		}
	}
	errs = append(errs, sweepIPTables(s, network, ids))
	if part == Everything {
		errs = append(errs, sweepReferenceMasquerade(s, network, valid))
	}
	return errors.Join(append(errs, sweepReferencePorts(s, network, ids))...)
}

// Remove removes an attachment of which only the tag is known: the link first, which the
// rules keep in bounds.
func Remove(s *Session, tag string, part Part) error {
	var errs []error
	if part == Everything {
		errs = append(errs, s.Host.DeleteLink(LinkOf(tag)))
	}
	rules, err := s.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return errors.Join(errs...)
	}
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, g := range holdings(part) {
		all, err := tagged(rules, g.sets(), tag)
		if err == nil && len(all) > 0 {
			_, err = rules.Delete(tag, all, 0)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// TidyRules deletes chains that no attachment uses any more, and our table if none
// is left in it and no port relies on it.
func TidyRules(s *Session) error {
	rules, err := s.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(rules.Tidy(), rules.Retire(func() (base, link bool, err error) { return needed(s) }))
}
