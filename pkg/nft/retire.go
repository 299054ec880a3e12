package nft

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Maps are the names of the sets and maps that hold elements with owners.
func Maps() []string {
	return []string{
		"hostport4", "anyport4", "hostport6", "anyport6", "snat4", "snat6",
		"masquerade4", "masquerade6", "masqueraded", "published",
	}
}

// Tidy deletes the networks' chains that no element leads to any more. The kernel
// refuses to delete one that is in use (EBUSY), so asking is the check.
func (c *Conn) Tidy() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock.Close()
	chains, err := c.nl.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("rules: list chains: %w", err)
	}
	for _, ch := range chains {
		if ch.Table.Name != Table || !strings.HasPrefix(ch.Name, masqPrefix) && !strings.HasPrefix(ch.Name, snatPrefix) {
			continue
		}
		c.nl.DelChain(ch)
		err := c.nl.Flush()
		if err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("rules: delete chain %s: %w", ch.Name, err)
		}
	}
	return nil
}

// Retire deletes the table if no attachment is left in it.
func (c *Conn) Retire() error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock.Close()
	if have, err := c.chain("guard"); err != nil || have == nil {
		return err
	}
	for _, name := range Maps() {
		elements, err := c.List(name)
		if err != nil || len(elements) > 0 {
			return err
		}
	}
	c.nl.DelTable(c.table)
	if err := c.nl.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: delete table: %w", err)
	}
	return nil
}
