package firewall

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// TidyRules deletes the chains that no attachment uses any more, and each of our tables that has
// neither chains nor elements of attachments and that no port relies on.
func TidyRules(s *plan.Session) error {
	rules, err := s.Rules()
	if err != nil {
		return netlink.Ignore(err, nft.ErrUnsupported)
	}
	return errors.Join(rules.Tidy(), ruleset.Retire(rules, func() (base, frames bool, err error) { return needed(s) }))
}

// needed says which of our tables must stay without an element: base is the table of family inet,
// which has the guard, while packets for 127.0.0.0/8 are routed from a link; frames is the table of
// family bridge, while a port relies on its rules. An ADD that has made a table and not filled it
// yet makes it again (Transaction.commit).
func needed(s *plan.Session) (base, frames bool, err error) {
	links, err := s.Host.Links()
	if err != nil {
		return false, false, fmt.Errorf("list links: %w", err)
	}
	var routed []string
	for _, l := range links {
		frames = frames || l.Group == ruleset.ContainerGroup
		// A link that is deleted meanwhile needs nothing: an error counts as 0.
		if value, _ := s.Sysctls.Read(localnetKey(l.Name)); value == "1" {
			routed = append(routed, l.Name)
		}
	}
	if len(routed) > 0 {
		open := s.Opened() // the guard is not for these
		routed = slices.DeleteFunc(routed, func(name string) bool { return slices.Contains(open, name) })
	}
	return len(routed) > 0, frames, nil
}
