package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// Chain is one chain of anybody's in nf_tables.
type Chain struct {
	Family   string // "ip", "ip6", "inet", "bridge"
	Table    string
	Name     string
	Type     string // "filter", "nat"; "" for a chain that others jump to
	Hook     string // "prerouting" and so on; "" as above
	Priority int
	Drops    bool // its policy is drop
	rules    []*nftables.Rule
}

func (c Chain) String() string { return fmt.Sprintf("chain %s %s %s", c.Family, c.Table, c.Name) }

var families = []struct {
	number nftables.TableFamily
	name   string
}{
	{nftables.TableFamilyIPv4, "ip"},
	{nftables.TableFamilyIPv6, "ip6"},
	{nftables.TableFamilyINet, "inet"},
	{nftables.TableFamilyBridge, "bridge"},
}

// Chains lists all chains with their rules.
func Chains() ([]Chain, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("ruleset: %w", err)
	}
	var list []Chain
	for _, f := range families {
		chains, err := c.ListChainsOfTableFamily(f.number)
		if err != nil {
			return nil, fmt.Errorf("ruleset: list chains of family %s: %w", f.name, err)
		}
		for _, ch := range chains {
			out := Chain{Family: f.name, Table: ch.Table.Name, Name: ch.Name, Type: string(ch.Type)}
			if ch.Hooknum != nil {
				out.Hook = hookName(*ch.Hooknum)
			}
			if ch.Priority != nil {
				out.Priority = int(*ch.Priority)
			}
			out.Drops = ch.Policy != nil && *ch.Policy == nftables.ChainPolicyDrop
			if out.rules, err = c.GetRules(ch.Table, ch); err != nil && !errors.Is(err, unix.ENOENT) {
				return nil, fmt.Errorf("ruleset: %s: %w", out, err)
			}
			list = append(list, out)
		}
	}
	return list, nil
}

func hookName(n nftables.ChainHook) string {
	names := []string{"prerouting", "input", "forward", "output", "postrouting"} // NF_INET_*
	if int(n) < len(names) {
		return names[n]
	}
	return fmt.Sprint(n)
}

// Length is the number of rules.
func (c Chain) Length() int { return len(c.rules) }

// Mentions says whether a rule of the chain names the link.
func (c Chain) Mentions(link string) bool {
	return slices.ContainsFunc(c.rules, func(r *nftables.Rule) bool {
		return slices.ContainsFunc(r.Exprs, func(e expr.Any) bool {
			cmp, ok := e.(*expr.Cmp)
			return ok && len(cmp.Data) > 0 && strings.TrimRight(string(cmp.Data), "\x00") == link
		})
	})
}

// Diverts lists the ports whose packets rules of the chain send elsewhere, as
// "tcp/8080".
func (c Chain) Diverts() []string {
	var list []string
	for _, r := range c.rules {
		proto, port, diverts := "", uint16(0), false
		for i, e := range r.Exprs {
			switch e := e.(type) {
			case *expr.NAT:
				diverts = diverts || e.Type == expr.NATTypeDestNAT
			case *expr.Redir:
				diverts = true
			case *expr.Target:
				diverts = diverts || e.Name == "DNAT" || e.Name == "REDIRECT"
			case *expr.Match:
				if p, number, ok := xtPort(e); ok {
					proto, port = p, number
				}
			case *expr.Cmp:
				if p, ok := matched(r.Exprs, i).(*expr.Payload); ok && p.Base == expr.PayloadBaseTransportHeader && p.Offset == 2 && len(e.Data) == 2 {
					port = binary.BigEndian.Uint16(e.Data)
				}
				if m, ok := matched(r.Exprs, i).(*expr.Meta); ok && m.Key == expr.MetaKeyL4PROTO && len(e.Data) == 1 {
					proto = map[byte]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp"}[e.Data[0]]
				}
			}
		}
		if diverts && port != 0 {
			list = append(list, fmt.Sprintf("%s/%d", proto, port))
		}
	}
	return list
}

// matched is the expression that loaded what expression i compares.
func matched(list []expr.Any, i int) expr.Any {
	if i == 0 {
		return nil
	}
	return list[i-1]
}

// xtPort reads a single port of iptables' -m tcp or -m udp --dport.
func xtPort(m *expr.Match) (string, uint16, bool) {
	switch info := m.Info.(type) {
	case *xt.Tcp:
		return "tcp", info.DstPorts[0], info.DstPorts[0] == info.DstPorts[1]
	case *xt.Udp:
		return "udp", info.DstPorts[0], info.DstPorts[0] == info.DstPorts[1]
	}
	return "", 0, false
}

// Legacy is the rules of iptables-legacy in one table, as iptables-save prints them;
// "" where the table is not in use. It executes iptables-legacy-save only where the
// kernel has the table, since the program would otherwise make it.
func Legacy(ipv6 bool, table string) string {
	names, program := "/proc/thread-self/net/ip_tables_names", "iptables-legacy-save"
	if ipv6 {
		names, program = "/proc/thread-self/net/ip6_tables_names", "ip6tables-legacy-save"
	}
	data, err := os.ReadFile(names)
	if err != nil || !slices.Contains(strings.Fields(string(data)), table) {
		return ""
	}
	out, err := exec.Command(program, "-t", table).Output()
	if err != nil {
		return "# in use, but not to be read: " + err.Error()
	}
	return string(out)
}
