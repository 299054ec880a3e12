package nft

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Tidy deletes the networks' chains to which no element leads, and the empty sets of names into which no
// rule looks: a resolver would not fill one again from its cache. Those in use the kernel keeps (EBUSY).
func (c *Conn) Tidy() error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	is := func(name string) bool {
		return slices.ContainsFunc(sharedChains(), func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	}
	if err := errors.Join(c.DropChains(Inet, is), c.DropChains(Bridge, is)); err != nil {
		return err
	}
	return c.dropNames()
}

func (c *Conn) dropNames() error {
	list, err := c.nl.GetSets(c.tables[Inet])
	if err != nil {
		return netlink.Ignore(fmt.Errorf("rules: list sets: %w", err), unix.ENOENT)
	}
	for _, s := range list {
		if !strings.HasPrefix(s.Name, NamesPrefix) {
			continue
		}
		if elements, err := c.nl.GetSetElements(s); err != nil || len(elements) > 0 {
			continue // or it has just gone
		}
		c.nl.DelSet(s)
		if err := c.Flush("delete set "+s.Name, unix.EBUSY, unix.ENOENT); err != nil {
			return err
		}
	}
	return nil
}

// DropChains deletes the chains of a family for whose names is returns true. A chain that is in
// use stays. The caller must have the lock of flock.Netns.
func (c *Conn) DropChains(family Family, is func(name string) bool) error {
	chains, err := c.chains(family, is)
	if err != nil {
		return err
	}
	for _, ch := range chains {
		c.nl.DelChain(ch)
		if err := c.Flush("delete chain "+ch.Name, unix.EBUSY, unix.ENOENT); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) chains(family Family, is func(name string) bool) ([]*nftables.Chain, error) {
	chains, err := c.nl.ListChainsOfTableFamily(c.tables[family].Family)
	if err != nil {
		return nil, fmt.Errorf("rules: list chains: %w", err)
	}
	return slices.DeleteFunc(chains, func(ch *nftables.Chain) bool { return ch.Table.Name != Table || !is(ch.Name) }), nil
}

// OfBridge says whether link is the bridge or the gateway of one of its VLANs.
func OfBridge(link, bridge string) bool {
	vid, found := strings.CutPrefix(link, bridge)
	if !found || vid == "" {
		return found
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(vid, "."), 10, 16)
	return err == nil && vid == fmt.Sprintf(".%d", n)
}

// Retire deletes each of our tables of families inet and bridge that has no element of an attachment
// and, in family inet, no chain for which stays returns true. needed says which table must stay for
// its rules alone. Retire asks it under the lock: whoever needs a table later looks for it afterwards.
func (c *Conn) Retire(needed func() (base, frames bool, err error), stays func(chain string) bool) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	base, frames, err := needed()
	if err != nil {
		return err
	}
	var errs []error
	if !base {
		errs = append(errs, c.retire(Inet, stays))
	}
	if !frames {
		errs = append(errs, c.retire(Bridge, stays))
	}
	return errors.Join(errs...)
}

func (c *Conn) retire(family Family, stays func(chain string) bool) error {
	t := c.tables[family]
	if have, err := c.Exist(TableQuestion(t.Family, Table)); err != nil || !have[0] {
		return err
	}
	for _, s := range sets {
		if !s.owned() || s.Place.Family() != family {
			continue
		}
		if elements, err := c.List(s.Name); err != nil || len(elements) > 0 {
			return err
		}
	}
	if family == Inet {
		if chains, err := c.chains(Inet, stays); err != nil || len(chains) > 0 {
			return err
		}
	}
	c.nl.DelTable(t)
	return c.Flush("delete table", unix.ENOENT)
}

// DropTables deletes our tables with all that is in them, and returns their names. With dry it only
// returns the names.
func (c *Conn) DropTables(dry bool) (names []string, err error) {
	unlock, err := flock.Netns()
	if err != nil {
		return nil, err
	}
	defer unlock.Close()
	for _, family := range []Family{Inet, Bridge, Netdev} {
		t := c.tables[family]
		have, err := c.Exist(TableQuestion(t.Family, Table))
		if err != nil {
			return nil, err
		}
		if have[0] {
			names = append(names, fmt.Sprintf("table %s %s", family, Table))
			c.nl.DelTable(t)
		}
	}
	if dry || len(names) == 0 {
		return names, nil
	}
	return names, c.Flush("delete tables", unix.ENOENT)
}

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
	return c.Flush("delete chain "+ch.Name, unix.ENOENT)
}
