package strangers

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// What the reference plugins' nftables backends write (portmap_nftables.go,
// ipmasq_nftables_linux.go): rules, each with its container in the comment.
const (
	theirPorts      = "cni_hostport"           // families ip and ip6
	theirMasquerade = "cni_plugins_masquerade" // family inet
)

// TheirRule is one rule of an attachment that the reference plugins made.
type TheirRule struct {
	Comment string     // a container ID in tables of ports; begins with hashes in that of masquerading
	Target  netip.Addr // where it leads; invalid for the rules that masquerade
	rule    *nftables.Rule
}

// Table is where the rule is, as nft(8) names it.
func (r TheirRule) Table() string { return tableName(r.rule.Table) }

// Mentions says whether the rule has the address in a match or a target.
func (r TheirRule) Mentions(a netip.Addr) bool {
	return slices.ContainsFunc(r.rule.Exprs, func(e expr.Any) bool {
		switch e := e.(type) {
		case *expr.Immediate:
			return bytes.Equal(e.Data, a.AsSlice())
		case *expr.Cmp:
			return bytes.Equal(e.Data, a.AsSlice())
		}
		return false
	})
}

// TheirPorts lists the reference's rules for published ports, of all its containers.
// Where it has no table this is one question, asked once.
func TheirPorts(c *nft.Conn) ([]TheirRule, error) {
	return theirs(c, theirPorts, "hostports", "hostip_hostports", "masquerading")
}

// TheirMasquerade lists the reference's rules that masquerade containers.
func TheirMasquerade(c *nft.Conn) ([]TheirRule, error) {
	return theirs(c, theirMasquerade, "masq_checks")
}

func theirs(c *nft.Conn, table string, chains ...string) ([]TheirRule, error) {
	// All of them at once: a DEL wants both kinds.
	tables, err := c.Tables(
		nftables.Table{Family: nftables.TableFamilyIPv4, Name: theirPorts},
		nftables.Table{Family: nftables.TableFamilyIPv6, Name: theirPorts},
		nftables.Table{Family: nftables.TableFamilyINet, Name: theirMasquerade})
	if err != nil {
		return nil, fmt.Errorf("rules: look for tables of the reference plugins: %w", err)
	}
	var list []TheirRule
	for _, t := range tables {
		if t.Name != table {
			continue
		}
		for _, chain := range chains {
			rules, err := c.Library().GetRules(t, &nftables.Chain{Name: chain, Table: t})
			if errors.Is(err, unix.ENOENT) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("rules: list chain %s %s: %w", t.Name, chain, err)
			}
			for _, r := range rules {
				comment := nft.CommentOf(r.UserData)
				list = append(list, TheirRule{Comment: comment, Target: target(r.Exprs), rule: r})
			}
		}
	}
	return list, nil
}

// target is the address that a rule of DNAT leads to.
func target(exprs []expr.Any) netip.Addr {
	if !slices.ContainsFunc(exprs, func(e expr.Any) bool { _, ok := e.(*expr.NAT); return ok }) {
		return netip.Addr{}
	}
	for _, e := range exprs {
		if im, ok := e.(*expr.Immediate); ok && len(im.Data) >= 4 { // a port has 2 bytes
			a, _ := netip.AddrFromSlice(im.Data)
			return a
		}
	}
	return netip.Addr{}
}

// Others is where rules for published ports may be that are not in our table.
type Others struct {
	Chain4, Chain6 bool // in table nat of iptables over nf_tables
	Theirs         bool // in tables of the reference
}

// FindOthers looks for chain, which leads to those of iptables, and for the reference's
// tables, with one system call for all questions.
func FindOthers(c *nft.Conn, chain string) (Others, error) {
	ip4, ip6 := nftables.TableFamilyIPv4, nftables.TableFamilyIPv6
	found, err := c.Exist(
		nft.ChainQuestion(ip4, "nat", chain), nft.ChainQuestion(ip6, "nat", chain),
		nft.TableQuestion(ip4, theirPorts), nft.TableQuestion(ip6, theirPorts))
	if err != nil {
		return Others{}, fmt.Errorf("rules: look for other backends: %w", err)
	}
	return Others{Chain4: found[0], Chain6: found[1], Theirs: found[2] || found[3]}, nil
}

// Takes says whether the rule leads clients of the port elsewhere. hostIP is invalid for
// every address of the host.
func (r TheirRule) Takes(hostIP netip.Addr, proto uint8, holds func(port uint16) bool) bool {
	if !r.Target.IsValid() {
		return false
	}
	dest, port, protocol := netip.Addr{}, -1, -1
	var loaded expr.Any
	for _, e := range r.rule.Exprs {
		if cmp, ok := e.(*expr.Cmp); ok && cmp.Op == expr.CmpOpEq {
			switch l := loaded.(type) {
			case *expr.Meta:
				if l.Key == expr.MetaKeyL4PROTO && len(cmp.Data) == 1 {
					protocol = int(cmp.Data[0])
				}
			case *expr.Payload:
				if l.Base == expr.PayloadBaseNetworkHeader {
					dest, _ = netip.AddrFromSlice(cmp.Data)
				} else if len(cmp.Data) == 2 {
					port = int(binary.BigEndian.Uint16(cmp.Data))
				}
			}
		}
		loaded = e
	}
	return protocol == int(proto) && port >= 0 && holds(uint16(port)) && (!dest.IsValid() || dest == hostIP)
}

// DeleteTheirs deletes rules of the reference. Those that are gone are success.
func DeleteTheirs(c *nft.Conn, rules []TheirRule) error {
	for _, r := range rules {
		if err := c.Library().DelRule(r.rule); err != nil {
			return fmt.Errorf("rules: %s: %w", r.Table(), err)
		}
	}
	err := c.Library().Flush()
	if errors.Is(err, unix.ENOENT) && len(rules) > 1 {
		// Somebody deleted one of them: one by one.
		for _, r := range rules {
			if err := DeleteTheirs(c, []TheirRule{r}); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: delete rules of the reference plugins: %w", err)
	}
	return nil
}
