package nft

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// Tidy deletes the networks' chains that no element leads to any more. The kernel
// refuses to delete one that is in use (EBUSY), so asking is the check.
func (c *Conn) Tidy() error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	return c.DropChains(func(name string) bool {
		return slices.ContainsFunc(sharedChains(), func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
}

// DropChains deletes the chains of family inet whose names are wanted, with their rules;
// those that something leads to stay. The caller has the lock of flock.Netns.
func (c *Conn) DropChains(is func(name string) bool) error {
	chains, err := c.chains(is)
	if err != nil {
		return err
	}
	for _, ch := range chains {
		c.nl.DelChain(ch)
		if err := c.nl.Flush(); err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("rules: delete chain %s: %w", ch.Name, err)
		}
	}
	return nil
}

func (c *Conn) chains(is func(name string) bool) ([]*nftables.Chain, error) {
	chains, err := c.nl.ListChainsOfTableFamily(nftables.TableFamilyINet)
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

// Retire deletes each of our tables of families inet and bridge if no attachment is left in
// it, and no chain of family inet that stays for itself. needed says which of the tables is to stay for
// its rules alone. It is asked under the lock: who comes to need them meanwhile looks for
// the table afterwards.
func (c *Conn) Retire(needed func() (base, link bool, err error), stays func(chain string) bool) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	base, link, err := needed()
	if err != nil {
		return err
	}
	var errs []error
	if !base {
		errs = append(errs, c.retire(Inet, stays))
	}
	if !link {
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
		if chains, err := c.chains(stays); err != nil || len(chains) > 0 {
			return err
		}
	}
	c.nl.DelTable(t)
	if err := c.nl.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: delete table: %w", err)
	}
	return nil
}
