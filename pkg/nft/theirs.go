package nft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
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
func (r TheirRule) Table() string {
	family := map[nftables.TableFamily]string{
		nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
	}[r.rule.Table.Family]
	return family + " " + r.rule.Table.Name
}

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
func (c *Conn) TheirPorts() ([]TheirRule, error) {
	return c.theirs(theirPorts, "hostports", "hostip_hostports", "masquerading")
}

// TheirMasquerade lists the reference's rules that masquerade containers.
func (c *Conn) TheirMasquerade() ([]TheirRule, error) {
	return c.theirs(theirMasquerade, "masq_checks")
}

func (c *Conn) theirs(table string, chains ...string) ([]TheirRule, error) {
	if err := c.findTheirTables(); err != nil {
		return nil, err
	}
	var list []TheirRule
	for _, t := range c.theirTables {
		if t.Name != table {
			continue
		}
		for _, chain := range chains {
			rules, err := c.nl.GetRules(t, &nftables.Chain{Name: chain, Table: t})
			if errors.Is(err, unix.ENOENT) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("rules: list chain %s %s: %w", t.Name, chain, err)
			}
			for _, r := range rules {
				comment := commentIn(r.UserData, userdata.TypeComment)
				list = append(list, TheirRule{Comment: comment, Target: target(r.Exprs), rule: r})
			}
		}
	}
	return list, nil
}

// findTheirTables asks for all of them at once: a DEL wants both kinds.
func (c *Conn) findTheirTables() error {
	if c.theirTables != nil {
		return nil
	}
	all := []*nftables.Table{
		{Family: nftables.TableFamilyIPv4, Name: theirPorts},
		{Family: nftables.TableFamilyIPv6, Name: theirPorts},
		{Family: nftables.TableFamilyINet, Name: theirMasquerade},
	}
	questions := make([]netlink.Netfilter, len(all))
	for i, t := range all {
		questions[i] = tableQuestion(t.Family, t.Name)
	}
	found, err := c.there(questions...)
	if err != nil {
		return fmt.Errorf("rules: look for tables of the reference plugins: %w", err)
	}
	c.theirTables = make([]*nftables.Table, 0, len(all))
	for i, t := range all {
		if found[i] {
			c.theirTables = append(c.theirTables, t)
		}
	}
	return nil
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

// Others looks for chain, which leads to those of iptables, and for the reference's
// tables, with one system call for all questions.
func (c *Conn) Others(chain string) (Others, error) {
	ip4, ip6 := nftables.TableFamilyIPv4, nftables.TableFamilyIPv6
	found, err := c.there(
		chainQuestion(ip4, "nat", chain), chainQuestion(ip6, "nat", chain),
		tableQuestion(ip4, theirPorts), tableQuestion(ip6, theirPorts))
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
func (c *Conn) DeleteTheirs(rules []TheirRule) error {
	for _, r := range rules {
		if err := c.nl.DelRule(r.rule); err != nil {
			return fmt.Errorf("rules: %s: %w", r.Table(), err)
		}
	}
	err := c.nl.Flush()
	if errors.Is(err, unix.ENOENT) && len(rules) > 1 {
		// Somebody deleted one of them: one by one.
		for _, r := range rules {
			if err := c.DeleteTheirs([]TheirRule{r}); err != nil {
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
