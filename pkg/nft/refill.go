package nft

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/google/nftables"
)

// Refill gives chains that are there, but lack a rule or have them in another order, all
// of their rules again, and nothing else's: in one transaction, so that no packet passes
// between the two. Add makes those that are not there.
func (c *Conn) Refill(chains ...Chain) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	have, err := c.look(chains...)
	if err != nil {
		return err
	}
	rules, err := c.rulesOf(chains)
	if err != nil {
		return err
	}
	for i, ch := range chains {
		if have[i] == nil || len(compareRules(ch.Name, ch.Rules, rules[i])) == 0 {
			continue
		}
		k := &nftables.Chain{Table: c.tableOf(ch), Name: ch.Name}
		c.nl.FlushChain(k)
		c.queueRules(k, ch.Rules)
	}
	if err := c.nl.Flush(); err != nil {
		return fmt.Errorf("rules: refill chains: %w", err)
	}
	return nil
}
