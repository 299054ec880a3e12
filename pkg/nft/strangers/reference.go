package strangers

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// What the reference plugins' nftables backends write (portmap_nftables.go,
// ipmasq_nftables_linux.go): rules, each with its container in the comment.
const (
	portsTable      = "cni_hostport"           // families ip and ip6
	masqueradeTable = "cni_plugins_masquerade" // family inet
)

// ReferenceRule is a rule that the reference plugins made for an attachment.
type ReferenceRule struct {
	Comment string     // of a port: the container's ID; of masquerading: it begins with hashes
	Target  netip.Addr // where DNAT sends packets; invalid for rules that masquerade
	rule    *nftables.Rule
}

// Table is where the rule is, as nft(8) names it.
func (r ReferenceRule) Table() string { return tableName(r.rule.Table) }

// Mentions says whether the rule has the address in a match or a target.
func (r ReferenceRule) Mentions(a netip.Addr) bool {
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

// ReferencePorts lists the reference's rules for published ports, of all containers. Without a table
// of the reference the list costs one question for each Conn.
func ReferencePorts(c *nft.Conn) ([]ReferenceRule, error) {
	return referenceRules(c, portsTable, "hostports", "hostip_hostports", "masquerading")
}

// ReferenceMasquerade lists the reference's rules that masquerade containers.
func ReferenceMasquerade(c *nft.Conn) ([]ReferenceRule, error) {
	return referenceRules(c, masqueradeTable, "masq_checks")
}

func referenceRules(c *nft.Conn, table string, chains ...string) ([]ReferenceRule, error) {
	// One question is for all tables: a DEL wants both kinds.
	tables, err := c.Tables(
		nftables.Table{Family: nftables.TableFamilyIPv4, Name: portsTable},
		nftables.Table{Family: nftables.TableFamilyIPv6, Name: portsTable},
		nftables.Table{Family: nftables.TableFamilyINet, Name: masqueradeTable})
	if err != nil {
		return nil, fmt.Errorf("rules: look for tables of the reference plugins: %w", err)
	}
	var list []ReferenceRule
	for _, t := range tables {
		if t.Name != table {
			continue
		}
		for _, chain := range chains {
			rules, err := c.Library().GetRules(t, &nftables.Chain{Name: chain, Table: t})
			if netlink.Ignore(err, unix.ENOENT) != nil {
				return nil, fmt.Errorf("rules: list chain %s %s: %w", t.Name, chain, err)
			}
			for _, r := range rules {
				list = append(list, ReferenceRule{Comment: nft.CommentOf(r.UserData), Target: target(r.Exprs), rule: r})
			}
		}
	}
	return list, nil
}

// target is the address to which a rule of DNAT sends packets.
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

// Others is where rules for published ports may be outside of our table.
type Others struct {
	Chain4, Chain6 bool // in table nat of iptables over nf_tables
	Reference      bool // in tables of the reference
}

// FindOthers looks, by one system call, for iptables' chain in table nat and the reference's tables.
func FindOthers(c *nft.Conn, chain string) (Others, error) {
	ip4, ip6 := nftables.TableFamilyIPv4, nftables.TableFamilyIPv6
	found, err := c.Exist(
		nft.ChainQuestion(ip4, "nat", chain), nft.ChainQuestion(ip6, "nat", chain),
		nft.TableQuestion(ip4, portsTable), nft.TableQuestion(ip6, portsTable))
	if err != nil {
		return Others{}, fmt.Errorf("rules: look for other backends: %w", err)
	}
	return Others{Chain4: found[0], Chain6: found[1], Reference: found[2] || found[3]}, nil
}

// Takes says whether the rule takes clients of the port. An invalid hostIP is every host address.
func (r ReferenceRule) Takes(hostIP netip.Addr, proto uint8, holds func(port uint16) bool) bool {
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

// DeleteReference deletes rules of the reference, if they are there. c may be nil without rules.
func DeleteReference(c *nft.Conn, rules []ReferenceRule) error {
	if len(rules) == 0 {
		return nil
	}
	for _, r := range rules {
		if err := c.Library().DelRule(r.rule); err != nil {
			return fmt.Errorf("rules: %s: %w", r.Table(), err)
		}
	}
	err := c.Flush("delete rules of the reference plugins")
	if errors.Is(err, unix.ENOENT) && len(rules) > 1 {
		// Somebody deleted one of the rules: each needs a transaction of its own.
		for _, r := range rules {
			if err := DeleteReference(c, []ReferenceRule{r}); err != nil {
				return err
			}
		}
		return nil
	}
	return netlink.Ignore(err, unix.ENOENT)
}
