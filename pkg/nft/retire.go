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

// Tidy deletes the networks' chains to which no element leads any more. The kernel refuses to delete
// a chain that is in use (EBUSY).
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

// DropChains deletes the chains of family inet for whose names is returns true. A chain that is in
// use stays. The caller must have the lock of flock.Netns.
func (c *Conn) DropChains(is func(name string) bool) error {
	chains, err := c.chains(is)
	if err != nil {
		return err
	}
	for _, ch := range chains {
		c.nl.DelChain(ch)
		if err := netlink.Ignore(c.nl.Flush(), unix.EBUSY, unix.ENOENT); err != nil {
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
		if chains, err := c.chains(stays); err != nil || len(chains) > 0 {
			return err
		}
	}
	c.nl.DelTable(t)
	if err := netlink.Ignore(c.nl.Flush(), unix.ENOENT); err != nil {
		return fmt.Errorf("rules: delete table: %w", err)
	}
	return nil
}
