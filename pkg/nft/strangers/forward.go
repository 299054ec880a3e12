// Package strangers reads strangers' rules of nf_tables: chains that drop what a bridge forwards,
// rules of the reference plugins, and chains of iptables. It inserts the rules that accept a
// bridge's packets into strangers' chains.
package strangers

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// Blocker is a stranger's base chain that drops packets that no rule accepts.
type Blocker struct {
	chain *nftables.Chain
	place *nftables.Chain // where a rule of ours would go
	// rules of chain and place, by chain; of the whole table if chain drops.
	rules map[string][]*nftables.Rule
}

// Place is where the chain is: its family as nft(8) has it, its table and its name.
func (b Blocker) Place() (family, table, chain string) {
	return familyName(b.chain.Table), b.chain.Table.Name, b.chain.Name
}

func (b Blocker) String() string { return "chain " + tableName(b.chain.Table) + " " + b.chain.Name }

// tableName is a table as nft(8) names it.
func tableName(t *nftables.Table) string { return familyName(t) + " " + t.Name }

func familyName(t *nftables.Table) string {
	return map[nftables.TableFamily]string{
		nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
	}[t.Family]
}

// Blockers are the base chains at the forward hook that drop packets from and to the bridge. One
// such chain is enough to block. A chain with a rule that may accept the packets is no Blocker.
func Blockers(c *nft.Conn, bridge string) ([]Blocker, error) {
	all, err := forwardChains(c)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(b Blocker) bool {
		return !b.drops() || b.mayAccept(b.chain.Name, bridge, make(map[string]bool))
	}), nil
}

// forwardChains reads the filter chains at the forward hook, with the rules that decide.
func forwardChains(c *nft.Conn) ([]Blocker, error) {
	var list []Blocker
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6, nftables.TableFamilyINet} {
		chains, err := c.Library().ListChainsOfTableFamily(family)
		if err != nil {
			return nil, fmt.Errorf("rules: list chains: %w", err)
		}
		for _, ch := range chains {
			if ch.Table.Name == nft.Table || ch.Hooknum == nil || *ch.Hooknum != *nftables.ChainHookForward || ch.Type != nftables.ChainTypeFilter {
				continue
			}
			b, err := blocker(c, ch, chains)
			if err != nil {
				return nil, err
			}
			list = append(list, b)
		}
	}
	return list, nil
}

// blocker reads the rules that decide. Where the chain drops nothing, these are the rules of the
// chain and of place: a table may have thousands of others, and STATUS and CHECK come often.
func blocker(c *nft.Conn, ch *nftables.Chain, chains []*nftables.Chain) (Blocker, error) {
	b := Blocker{chain: ch, place: ch, rules: make(map[string][]*nftables.Rule)}
	table := []*nftables.Chain{ch}
	for _, other := range chains {
		if other.Table.Name != ch.Table.Name || other.Name == ch.Name {
			continue
		}
		table = append(table, other)
		if other.Name == iptables.DockerUser {
			b.place = other
		}
	}
	for _, other := range table {
		if other != ch && other != b.place && !b.drops() {
			continue
		}
		rules, err := c.Library().GetRules(other.Table, other)
		if err != nil && !errors.Is(err, unix.ENOENT) { // gone meanwhile
			return b, fmt.Errorf("rules: list %s: %w", b, err)
		}
		b.rules[other.Name] = rules
	}
	return b, nil
}

// drops says whether a packet that no rule accepts is dropped: by policy or by a bare last rule.
func (b Blocker) drops() bool {
	if b.chain.Policy != nil && *b.chain.Policy == nftables.ChainPolicyDrop {
		return true
	}
	rules := b.rules[b.chain.Name]
	if len(rules) == 0 {
		return false
	}
	for _, e := range rules[len(rules)-1].Exprs {
		switch e := e.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Match:
			if e.Name != "comment" {
				return false
			}
		case *expr.Target: // of iptables, which has a REJECT of its own
			if e.Name != "LOG" && e.Name != "NFLOG" {
				return e.Name == "REJECT"
			}
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

// mayAccept says whether a rule of the chain, or of a chain that it jumps to, may accept any new
// connection from the bridge. Rules for other links, for a state of the connection, for one
// protocol or for some ports can't.
func (b Blocker) mayAccept(chain, bridge string, seen map[string]bool) bool {
	if seen[chain] {
		return false
	}
	seen[chain] = true
	return slices.ContainsFunc(b.rules[chain], func(r *nftables.Rule) bool {
		if notFor(r, bridge) {
			return false
		}
		for _, e := range r.Exprs {
			switch e := e.(type) {
			case *expr.Lookup:
				if e.IsDestRegSet && e.DestRegister == 0 {
					return true // a verdict map: anything
				}
			case *expr.Verdict:
				switch e.Kind {
				case expr.VerdictAccept:
					return true
				case expr.VerdictJump, expr.VerdictGoto:
					return b.mayAccept(e.Chain, bridge, seen)
				}
			}
		}
		return false
	})
}

// notFor says whether the rule can't match a new connection from the bridge.
func notFor(r *nftables.Rule, bridge string) bool {
	var loaded expr.MetaKey
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Meta:
			loaded = e.Key
		case *expr.Ct:
			return true
		case *expr.Match:
			if e.Name == "conntrack" || e.Name == "state" {
				return true
			}
		case *expr.Cmp:
			isName := loaded == expr.MetaKeyIIFNAME || loaded == expr.MetaKeyOIFNAME
			if loaded == expr.MetaKeyL4PROTO && e.Op == expr.CmpOpEq {
				return true // one protocol only
			}
			if isName && (e.Op == expr.CmpOpEq) != matchesName(e.Data, bridge) {
				return true
			}
		case *expr.Payload:
			if e.Base == expr.PayloadBaseTransportHeader {
				return true // some ports only
			}
			loaded = 0
		default:
			loaded = 0
		}
	}
	return false
}

// accepted says whether our own rules are there.
func (b Blocker) accepted(bridge string) bool {
	return slices.ContainsFunc(b.rules[b.place.Name], func(r *nftables.Rule) bool {
		return nft.CommentOf(r.UserData) == iptables.AcceptComment(bridge)
	})
}

// matchesName says whether a rule's data matches a link's name. The data of a name has the zero at
// its end, the data of a pattern such as "br+" has none.
func matchesName(data []byte, name string) bool {
	full := nft.IfName(name)
	return len(data) > 0 && bytes.HasPrefix(full, bytes.TrimRight(data, "\x00")) &&
		(data[len(data)-1] != 0 || netlink.CString(data) == name)
}

// Accept inserts rules that accept packets from and to the bridge at the head of each chain that
// drops them, or of Docker's chain for such rules.
func Accept(c *nft.Conn, bridge string) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	blockers, err := forwardChains(c)
	if err != nil {
		return err
	}
	blockers = slices.DeleteFunc(blockers, func(b Blocker) bool { return !b.drops() || b.accepted(bridge) })
	for _, b := range blockers {
		for _, key := range []expr.MetaKey{expr.MetaKeyOIFNAME, expr.MetaKeyIIFNAME} {
			c.Library().InsertRule(&nftables.Rule{
				Table: b.place.Table, Chain: b.place,
				Exprs: []expr.Any{
					&expr.Meta{Key: key, Register: 1},
					&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: nft.IfName(bridge)},
					&expr.Counter{},
					&expr.Verdict{Kind: expr.VerdictAccept},
				},
				UserData: userdata.AppendString(nil, userdata.TypeComment, iptables.AcceptComment(bridge)),
			})
		}
	}
	return c.Flush("accept forwarding of " + bridge)
}

// Unaccept removes Accept's rules for the bridge and its VLANs' gateways, under flock.Netns's lock.
func Unaccept(c *nft.Conn, bridge string) error {
	chains, err := forwardChains(c)
	if err != nil {
		return err
	}
	for _, b := range chains {
		for _, r := range b.rules[b.place.Name] {
			if link, is := strings.CutPrefix(nft.CommentOf(r.UserData), iptables.AcceptComment("")); !is || !nft.OfBridge(link, bridge) {
				continue
			}
			if err := c.Library().DelRule(r); err != nil {
				return fmt.Errorf("rules: %s: %w", b, err)
			}
		}
	}
	return c.Flush("take back forwarding of "+bridge, unix.ENOENT)
}

// HasChains says whether a table nat of IPv4 or IPv6 has a chain whose name begins so.
func HasChains(c *nft.Conn, ipv6 bool, prefix string) (bool, error) {
	family := nftables.TableFamilyIPv4
	if ipv6 {
		family = nftables.TableFamilyIPv6
	}
	chains, err := c.Library().ListChainsOfTableFamily(family)
	if err != nil {
		return false, fmt.Errorf("rules: list chains: %w", err)
	}
	return slices.ContainsFunc(chains, func(ch *nftables.Chain) bool {
		return ch.Table.Name == "nat" && strings.HasPrefix(ch.Name, prefix)
	}), nil
}

// IPTablesChain says whether iptables over nf_tables has the chain in its tables of the name, of
// IPv4 and of IPv6. It is one system call.
func IPTablesChain(c *nft.Conn, table, name string) (has [2]bool, err error) {
	found, err := c.Exist(
		nft.ChainQuestion(nftables.TableFamilyIPv4, table, name),
		nft.ChainQuestion(nftables.TableFamilyIPv6, table, name))
	if err != nil {
		return has, fmt.Errorf("rules: look for chain %s: %w", name, err)
	}
	return [2]bool(found), nil
}
