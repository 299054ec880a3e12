package nft

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/google/nftables"
)

// Refill writes all rules of those chains anew that lack a rule or have their rules in another order.
// Rules that somebody added go. It is one transaction, so that no packet passes in between. Add
// makes missing chains.
func (c *Conn) Refill(chains ...Chain) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	have, bad, err := c.compare(chains)
	if err != nil {
		return err
	}
	for i, ch := range chains {
		if have[i] == nil || len(bad[i]) == 0 {
			continue
		}
		k := &nftables.Chain{Table: c.tables[ch.family()], Name: ch.Name}
		c.nl.FlushChain(k)
		c.queueRules(k, ch.Rules)
	}
	if err := c.nl.Flush(); err != nil {
		return fmt.Errorf("rules: refill chains: %w", err)
	}
	return nil
}
