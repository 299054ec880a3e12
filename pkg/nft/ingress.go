package nft

import (
	"errors"
	"fmt"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Has says whether the chain exists.
func (c *Conn) Has(ch Chain) (bool, error) {
	seen, err := c.look(ch)
	return err == nil && seen[0] != nil, err
}

// DropIngress deletes a chain of family netdev and an element that belongs to it, and with
// the last such chain the table. The caller has the lock of flock.Netns.
func (c *Conn) DropIngress(ch Chain, mark Element) error {
	found, err := c.FindAll([]Element{mark})
	if err != nil {
		return err
	}
	chains, err := c.nl.ListChainsOfTableFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return fmt.Errorf("rules: list chains: %w", err)
	}
	left, there := 0, false
	for _, other := range chains {
		if other.Table.Name == Table {
			left++
			there = there || other.Name == ch.Name
		}
	}
	// Before Linux 6.12 or so the chain goes with its device, and only the table stays.
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
	case exists[0] && (left == 0 || there && left == 1):
		c.nl.DelTable(table)
	case there:
		c.nl.DelChain(&nftables.Chain{Table: table, Name: ch.Name})
	}
	if err := c.nl.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: delete chain %s: %w", ch.Name, err)
	}
	return nil
}
