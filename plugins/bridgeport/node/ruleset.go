package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	goiptables "github.com/coreos/go-iptables/iptables"
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
	// DropsRest says that the chain drops what none of its rules decides about: its policy.
	DropsRest bool
	rules     []*nftables.Rule
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
			out.DropsRest = ch.Policy != nil && *ch.Policy == nftables.ChainPolicyDrop
			if ch.Priority != nil {
				out.Priority = int(*ch.Priority)
			}
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

// Redirects says whether the chain may give packets that come in another destination.
func (c Chain) Redirects() bool { return c.Type == "nat" && c.Hook == "prerouting" }

// Length is the number of rules.
func (c Chain) Length() int { return len(c.rules) }

// Refused is how many packets the counted rules of the chain have dropped or rejected.
func (c Chain) Refused() (n uint64) {
	for _, r := range c.rules {
		for i, e := range r.Exprs[:max(len(r.Exprs)-1, 0)] {
			count, ok := e.(*expr.Counter)
			_, rejects := r.Exprs[i+1].(*expr.Reject)
			v, is := r.Exprs[i+1].(*expr.Verdict)
			if ok && (rejects || is && (v.Kind == expr.VerdictDrop || v.Kind == expr.VerdictJump)) { // to those that refuse
				n += count.Packets
			}
		}
	}
	return n
}

// Mentions says whether a rule of the chain names the link.
func (c Chain) Mentions(link string) bool {
	return slices.ContainsFunc(c.rules, func(r *nftables.Rule) bool {
		return slices.ContainsFunc(r.Exprs, func(e expr.Any) bool {
			cmp, ok := e.(*expr.Cmp)
			return ok && len(cmp.Data) > 0 && strings.TrimRight(string(cmp.Data), "\x00") == link
		})
	})
}

// Diverts lists the ports whose packets rules of the chain send elsewhere, as "8080/tcp".
func (c Chain) Diverts() (list []string) {
	for _, r := range c.rules {
		proto, port, diverts := "", uint16(0), false
		var before expr.Any // what loads the value that the next one compares
		for _, e := range r.Exprs {
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
				if p, ok := before.(*expr.Payload); ok && p.Base == expr.PayloadBaseTransportHeader && p.Offset == 2 && len(e.Data) == 2 {
					port = binary.BigEndian.Uint16(e.Data)
				}
				if m, ok := before.(*expr.Meta); ok && m.Key == expr.MetaKeyL4PROTO && len(e.Data) == 1 {
					proto = hostport.ProtocolName(e.Data[0])
				}
			}
			before = e
		}
		if diverts && port != 0 {
			list = append(list, PortKey(proto, port))
		}
	}
	return list
}

// xtPort reads a single port of iptables' -m tcp, -m udp or -m sctp --dport.
func xtPort(m *expr.Match) (string, uint16, bool) {
	switch info := m.Info.(type) {
	case *xt.Tcp:
		return "tcp", info.DstPorts[0], info.DstPorts[0] == info.DstPorts[1]
	case *xt.Udp:
		return "udp", info.DstPorts[0], info.DstPorts[0] == info.DstPorts[1]
	case *xt.Unknown: // xt_sctp_info begins with the first and the last port
		if data := *info; m.Name == "sctp" && len(data) >= 4 {
			first := binary.NativeEndian.Uint16(data)
			return "sctp", first, first == binary.NativeEndian.Uint16(data[2:])
		}
	}
	return "", 0, false
}

// LegacyRules is how many rules iptables-legacy has in a table, of both families. The
// programs are executed only where the kernel has the table, since they would make it.
func LegacyRules(table string) (n int) {
	for protocol, program := range []string{goiptables.ProtocolIPv4: "iptables-legacy", goiptables.ProtocolIPv6: "ip6tables-legacy"} {
		if !(iptables.Family{IPv6: protocol > 0}).LegacyInUse(table) {
			continue
		}
		t, err := goiptables.New(goiptables.IPFamily(goiptables.Protocol(protocol)), goiptables.Path(program))
		if err != nil {
			continue // nobody can ask
		}
		chains, _ := t.ListChains(table)
		for _, c := range chains {
			rules, _ := t.List(table, c)
			n += max(0, len(rules)-1) // the first line is the chain itself
		}
	}
	return n
}

// liveTable is made for a live trace, and removed after it.
const liveTable = "bridgeport-trace"

// Live hands out what nft(8) tells of each real packet from the source to the port,
// until ctx ends. It marks such packets in a table of its own.
func Live(ctx context.Context, out io.Writer, from netip.Addr, proto string, port uint16) error {
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("--live needs the program nft: apt-get install nftables")
	}
	match := fmt.Sprintf("%s dport %d meta nftrace set 1", proto, port)
	if from.IsValid() {
		match = map[bool]string{true: "ip", false: "ip6"}[from.Is4()] + " saddr " + from.String() + " " + match
	}
	// Adding the table twice would add its rules twice.
	script := fmt.Sprintf("add table inet %[1]s\ndelete table inet %[1]s\n", liveTable)
	for _, hook := range []string{"prerouting", "output"} {
		script += fmt.Sprintf("table inet %s {\n chain %s {\n type filter hook %s priority -350\n %s\n }\n}\n", liveTable, hook, hook, match)
	}
	load := exec.Command("nft", "-f", "-")
	load.Stdin = strings.NewReader(script)
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("--live: %w: %s", err, bytes.TrimSpace(out))
	}
	defer func() { _ = exec.Command("nft", "delete", "table", "inet", liveTable).Run() }()
	cmd := exec.CommandContext(ctx, "nft", "monitor", "trace")
	cmd.Stdout = out
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Ruleset is everybody's rules as nft(8) prints them; without it the chains and how many rules they have.
func Ruleset() string {
	if out, err := exec.Command("nft", "list", "ruleset").Output(); err == nil {
		return string(out)
	}
	chains, err := Chains()
	if err != nil {
		return err.Error() + "\n"
	}
	text := ""
	for _, c := range chains {
		text += fmt.Sprintf("%s hook %s priority %d: %d rules\n", c, c.Hook, c.Priority, c.Length())
	}
	return text
}
