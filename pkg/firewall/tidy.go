package firewall

import (
	"errors"
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// TidyRules deletes chains that no attachment uses any more, and our table if none
// is left in it and no port relies on it.
func TidyRules(s *plan.Session) error {
	rules, err := s.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(rules.Tidy(), ruleset.Retire(rules, func() (base, link bool, err error) { return needed(s) }))
}

// needed says which of our tables must stay although nothing is in them: that of family
// inet while packets for 127.0.0.0/8 are routed from a link, since it has the guard
// against them; that of family bridge while a port relies on its rules. An ADD that has
// made the table and not filled it yet makes it again (Transaction.commit).
func needed(s *plan.Session) (base, link bool, err error) {
	links, err := s.Host.Links()
	if err != nil {
		return false, false, fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		link = link || l.Group == ruleset.ContainerGroup
		// A link that goes meanwhile needs nothing.
		value, _ := s.Sysctls.Read(localnetKey(l.Name))
		base = base || value == "1"
	}
	return base, link, nil
}
