package kernel

import (
	"errors"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// holding is what attachments have in the rules for one purpose: elements of maps, and a
// mark for each owner that counts them.
type holding struct {
	mark string
	maps []string
}

// holdings are all that an attachment may have.
func holdings() []holding {
	return []holding{
		portHoldings(),
		{"masqueraded", masqueradeMaps()},
		{"guarded", guardSets()},
		{"restricted", restrictionMaps()},
	}
}

func portHoldings() holding { return holding{"published", portMaps()} }

func (s holding) sets() []string { return append([]string{s.mark}, s.maps...) }

// holders lists the tags of a network's attachments that have marks or elements: one may
// be left without the other where somebody else deleted something. GC may read whole maps.
func (s holding) holders(h *Host, network string) ([]string, error) {
	var tags []string
	for _, set := range s.sets() {
		marked, err := marks(h, set, network)
		if err != nil {
			return nil, err
		}
		tags = append(tags, marked...)
	}
	return tags, nil
}

// marks lists the tags of a network's attachments in a set of holder marks.
func marks(h *Host, set, network string) ([]string, error) {
	rules, err := h.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	elements, err := rules.List(set)
	if err != nil {
		return nil, err
	}
	var tags []string
	for _, e := range elements {
		if tag := tagOf(e.Comment); ofNetwork(tag, network) {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// PublishedOwners lists the tags of a network's attachments with published ports.
func PublishedOwners(h *Host, network string) ([]string, error) {
	tags, err := portHoldings().holders(h, network)
	if err != nil {
		return nil, err
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

// Sweep removes the link and the rules of an attachment of which only the tag is
// known; the link first, which its rules keep in bounds.
func Sweep(h *Host, tag string) error {
	return errors.Join(h.rt.DeleteLink(LinkOf(tag)), SweepRules(h, tag))
}

// SweepRules is Sweep without the links.
func SweepRules(h *Host, tag string) error {
	var errs []error
	for _, s := range holdings() {
		errs = append(errs, s.sweep(h, tag))
	}
	return errors.Join(errs...)
}

// SweepPorts removes published ports of an attachment of which only the tag is
// known.
func SweepPorts(h *Host, tag string) error {
	return portHoldings().sweep(h, tag)
}

// LinkOf is the host's link of the attachment with the tag.
func LinkOf(tag string) string {
	_, digits, _ := strings.Cut(tag, "-")
	return "veth" + digits
}

// sweep removes what an attachment holds, of which only the tag is known.
func (s holding) sweep(h *Host, tag string) error {
	rules, err := h.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := owned(rules, s.sets(), tag)
	if err != nil || len(all) == 0 {
		return err
	}
	_, err = rules.Delete(tag, all, 0)
	return err
}

// TidyRules deletes chains that no attachment uses any more, and our table if none
// is left in it and no port relies on it.
func TidyRules(h *Host) error {
	rules, err := h.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(rules.Tidy(), rules.Retire(h.needed))
}
