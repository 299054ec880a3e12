package kernel

import (
	"errors"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

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
// Marks and ports: one may be left without the other where somebody deleted something.
func PublishedOwners(h *Host, network string) ([]string, error) {
	var tags []string
	for _, set := range append(portMaps(), "published") {
		marked, err := marks(h, set, network)
		if err != nil {
			return nil, err
		}
		tags = append(tags, marked...)
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

// Sweep removes links and masquerade elements of an attachment of which only the
// tag is known.
func Sweep(h *Host, tag string) error {
	return errors.Join(SweepRules(h, tag), h.deleteLink(LinkOf(tag)))
}

// SweepRules is Sweep without the links.
func SweepRules(h *Host, tag string) error {
	return errors.Join(
		sweepRules(h, tag, "masqueraded", "masquerade4", "masquerade6"),
		sweepRules(h, tag, "guarded", guardSets()...),
		sweepRules(h, tag, "restricted", restrictionMaps()...),
		SweepPorts(h, tag))
}

// SweepPorts removes published ports of an attachment of which only the tag is
// known.
func SweepPorts(h *Host, tag string) error {
	return sweepRules(h, tag, "published", portMaps()...)
}

// LinkOf is the host's link of the attachment with the tag.
func LinkOf(tag string) string {
	_, digits, _ := strings.Cut(tag, "-")
	return "veth" + digits
}

func sweepRules(h *Host, tag, mark string, maps ...string) error {
	rules, err := h.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := owned(rules, append(maps, mark), tag)
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
