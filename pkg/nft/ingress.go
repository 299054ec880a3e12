package nft

import (
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Has says whether the chain exists.
func (c *Conn) Has(ch Chain) (bool, error) {
	seen, err := c.look(ch)
	return err == nil && seen[0] != nil, err
}

// DropIngress deletes a chain of family netdev and its element mark, and with the last such chain
// the table. The caller must have the lock of flock.Netns.
func (c *Conn) DropIngress(ch Chain, mark Element) error {
	found, err := c.FindAll([]Element{mark})
	if err != nil {
		return err
	}
	chains, err := c.nl.ListChainsOfTableFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return fmt.Errorf("rules: list chains: %w", err)
	}
	chains = slices.DeleteFunc(chains, func(other *nftables.Chain) bool { return other.Table.Name != Table })
	there := slices.ContainsFunc(chains, func(other *nftables.Chain) bool { return other.Name == ch.Name })
	// Before about Linux 6.12 the chain goes with its device, and only the table stays.
	table := c.tables[Netdev]
	exists, err := c.Exist(TableQuestion(table.Family, Table))
	if err != nil {
		return fmt.Errorf("rules: read table %s %s: %w", Netdev, Table, err)
	}
	if found[0] != nil {
		if err := c.queueDelete([]Element{*found[0]}); err != nil {
			return err
		}
	}
	switch {
	case exists[0] && (len(chains) == 0 || there && len(chains) == 1):
		c.nl.DelTable(table)
	case there:
		c.nl.DelChain(&nftables.Chain{Table: table, Name: ch.Name})
	}
	if err := netlink.Ignore(c.nl.Flush(), unix.ENOENT); err != nil {
		return fmt.Errorf("rules: delete chain %s: %w", ch.Name, err)
	}
	return nil
}
