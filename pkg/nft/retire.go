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
	chains, err := c.chainsOf(networkPrefixes()...)
	if err != nil {
		return err
	}
	for _, ch := range chains {
		if err := c.deleteChain(ch); err != nil && !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	return nil
}

// chainsOf are the chains of our table whose names begin with one of the prefixes.
func (c *Conn) chainsOf(prefixes ...string) ([]*nftables.Chain, error) {
	chains, err := c.nl.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("rules: list chains: %w", err)
	}
	return slices.DeleteFunc(chains, func(ch *nftables.Chain) bool {
		ours := func(prefix string) bool { return strings.HasPrefix(ch.Name, prefix) }
		return ch.Table.Name != Table || !slices.ContainsFunc(prefixes, ours)
	}), nil
}

// deleteChain deletes a chain with its rules; an absent one is success.
func (c *Conn) deleteChain(ch *nftables.Chain) error {
	c.nl.DelChain(ch)
	if err := c.nl.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: delete chain %s: %w", ch.Name, err)
	}
	return nil
}

// RetireBridge deletes the rules of a bridge and of its VLANs' gateways. The caller has
// the lock of flock.Netns: who makes a bridge of the name anew finds nothing of the old one.
func (c *Conn) RetireBridge(bridge string) error {
	return errors.Join(c.unaccept(bridge), c.unloop6(bridge), c.unvlan(bridge))
}

// unvlan deletes the chains that VlanGatewayChain names.
func (c *Conn) unvlan(bridge string) error {
	chains, err := c.chainsOf(vlanPrefix)
	if err != nil {
		return err
	}
	for _, ch := range chains {
		link := strings.TrimPrefix(ch.Name, vlanPrefix)
		if i := strings.LastIndexByte(link, '-'); i < 0 || !OfBridge(link[:i], bridge) {
			continue
		}
		if err := c.deleteChain(ch); err != nil {
			return err
		}
	}
	return nil
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

// Retire deletes each of our tables if no attachment is left in it. needed says which
// of them, in families inet and bridge, is to stay for its rules alone. It is asked
// under the lock: who comes to need them meanwhile looks for the table afterwards.
func (c *Conn) Retire(needed func() (base, link bool, err error)) error {
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
		errs = append(errs, c.retire(c.table, baseChains()))
	}
	if !link {
		errs = append(errs, c.retire(c.link, linkChains()))
	}
	return errors.Join(errs...)
}

func (c *Conn) retire(t *nftables.Table, chains []Chain) error {
	if have, err := c.look(chains[len(chains)-1]); err != nil || have[0] == nil {
		return err
	}
	for _, s := range c.order {
		// Of these sets the elements are no attachments.
		if s.Table != t || s.Name == loop6Set || s.Name == vips4 || s.Name == vips6 || counting(s.Name) {
			continue
		}
		if elements, err := c.List(s.Name); err != nil || len(elements) > 0 {
			return err
		}
	}
	if t == c.table {
		if chains, err := c.chainsOf(vlanPrefix); err != nil || len(chains) > 0 {
			return err
		}
	}
	c.nl.DelTable(t)
	if err := c.nl.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: delete table: %w", err)
	}
	return nil
}
