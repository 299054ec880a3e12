package nft

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// dockerUser is the chain that Docker leaves to the administrator; its own rules
// come after it.
const dockerUser = "DOCKER-USER"

// acceptComment marks the rules that we put into others' chains.
func acceptComment(bridge string) string { return "bridgeport: forward " + bridge }

// Blocker is a base chain of somebody else that drops what it does not know.
type Blocker struct {
	chain *nftables.Chain
	rules []*nftables.Rule
	place *nftables.Chain // where a rule of ours would go
}

func (b Blocker) String() string {
	family := map[nftables.TableFamily]string{
		nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
	}[b.chain.Table.Family]
	return fmt.Sprintf("chain %s %s %s", family, b.chain.Table.Name, b.chain.Name)
}

// Blockers are the base chains at the forward hook that drop packets from and to
// the bridge. In nftables each of them has a veto, so one is enough to block.
func (c *Conn) Blockers(bridge string) ([]Blocker, error) {
	all, err := c.forwardChains()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(b Blocker) bool { return !b.drops() || b.passes(bridge) }), nil
}

// forwardChains reads the filter chains at the forward hook, with their rules.
func (c *Conn) forwardChains() ([]Blocker, error) {
	var list []Blocker
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet} {
		chains, err := c.nl.ListChainsOfTableFamily(family)
		if err != nil {
			return nil, fmt.Errorf("rules: list chains: %w", err)
		}
		for _, ch := range chains {
			if ch.Hooknum == nil || *ch.Hooknum != *nftables.ChainHookForward || ch.Type != nftables.ChainTypeFilter {
				continue
			}
			b := Blocker{chain: ch, place: ch}
			for _, other := range chains {
				if other.Table.Name == ch.Table.Name && other.Name == dockerUser {
					b.place = other
				}
			}
			if err := c.readRules(&b); err != nil {
				return nil, err
			}
			list = append(list, b)
		}
	}
	return list, nil
}

func (c *Conn) readRules(b *Blocker) error {
	for _, ch := range slices.Compact([]*nftables.Chain{b.place, b.chain}) {
		rules, err := c.nl.GetRules(ch.Table, ch)
		if errors.Is(err, unix.ENOENT) {
			continue // gone meanwhile
		}
		if err != nil {
			return fmt.Errorf("rules: list %s: %w", b, err)
		}
		b.rules = append(b.rules, rules...)
	}
	return nil
}

// drops says whether a packet that no rule accepts is dropped: by the policy, or by
// a last rule without a condition.
func (b Blocker) drops() bool {
	if b.chain.Policy != nil && *b.chain.Policy == nftables.ChainPolicyDrop {
		return true
	}
	if len(b.rules) == 0 {
		return false
	}
	last := b.rules[len(b.rules)-1]
	for _, e := range last.Exprs {
		switch e := e.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Reject:
			return true
		case *expr.Verdict:
			return e.Kind == expr.VerdictDrop
		default:
			return false
		}
	}
	return false
}

// passes says whether some rule accepts what comes from the bridge: by its name, or
// whatever comes. Conditions beyond that are the administrator's choice.
func (b Blocker) passes(bridge string) bool {
	for _, r := range b.rules {
		accepts, named, conditions := false, false, 0
		for _, e := range r.Exprs {
			switch e := e.(type) {
			case *expr.Verdict:
				accepts = e.Kind == expr.VerdictAccept
			case *expr.Cmp:
				conditions++
				named = named || e.Op == expr.CmpOpEq && matchesName(e.Data, bridge)
			case *expr.Counter, *expr.Meta:
			default:
				conditions++
			}
		}
		if accepts && (named || conditions == 0) {
			return true
		}
	}
	return false
}

// matchesName: a link's name is compared with its terminating zero, a pattern such
// as "br+" without it.
func matchesName(data []byte, name string) bool {
	full := append([]byte(name), make([]byte, max(0, ifNameSize-len(name)))...)
	return len(data) > 0 && bytes.HasPrefix(full, bytes.TrimRight(data, "\x00")) &&
		(data[len(data)-1] != 0 || strings.TrimRight(string(data), "\x00") == name)
}

// Accept puts rules that accept packets from and to the bridge before the others of
// each chain that drops them, or into the chain that Docker leaves for such rules.
func (c *Conn) Accept(bridge string) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	blockers, err := c.Blockers(bridge)
	if err != nil || len(blockers) == 0 {
		return err
	}
	name := make([]byte, ifNameSize)
	copy(name, bridge)
	for _, b := range blockers {
		for _, key := range []expr.MetaKey{expr.MetaKeyOIFNAME, expr.MetaKeyIIFNAME} {
			c.nl.InsertRule(&nftables.Rule{
				Table: b.place.Table, Chain: b.place,
				Exprs: []expr.Any{
					&expr.Meta{Key: key, Register: reg1},
					&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: name},
					&expr.Counter{},
					&expr.Verdict{Kind: expr.VerdictAccept},
				},
				UserData: userdata.AppendString(nil, userdata.TypeComment, acceptComment(bridge)),
			})
		}
	}
	if err := c.nl.Flush(); err != nil {
		return fmt.Errorf("rules: accept forwarding of %s: %w", bridge, err)
	}
	return nil
}

// Unaccept removes the rules of Accept.
func (c *Conn) Unaccept(bridge string) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	chains, err := c.forwardChains()
	if err != nil {
		return err
	}
	found := false
	for _, b := range chains {
		for _, r := range b.rules {
			if comment, _ := userdata.GetString(r.UserData, userdata.TypeComment); comment != acceptComment(bridge) {
				continue
			}
			found = true
			if err := c.nl.DelRule(r); err != nil {
				return fmt.Errorf("rules: %s: %w", b, err)
			}
		}
	}
	if !found {
		return nil
	}
	if err := c.nl.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: take back forwarding of %s: %w", bridge, err)
	}
	return nil
}
