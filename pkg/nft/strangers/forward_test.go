package strangers

import (
	"fmt"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// firewall makes somebody's filter chain at the forward hook.
func firewall(t *testing.T, c *nft.Conn, policy nftables.ChainPolicy, rules ...[]expr.Any) {
	t.Helper()
	table := c.Library().AddTable(&nftables.Table{Name: "filter", Family: nftables.TableFamilyIPv4})
	ch := c.Library().AddChain(&nftables.Chain{
		Table: table, Name: "FORWARD", Type: nftables.ChainTypeFilter, Policy: &policy,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	for _, r := range rules {
		c.Library().AddRule(&nftables.Rule{Table: table, Chain: ch, Exprs: r})
	}
	wantNil(t, c.Library().Flush())
}

func verdictExpr(kind expr.VerdictKind) expr.Any { return &expr.Verdict{Kind: kind} }

// fromLink: iifname name, or with a '+' at its end each link that begins so.
func fromLink(name string) []expr.Any {
	data := []byte(name)
	if n := len(name) - 1; name[n] == '+' {
		data = data[:n]
	} else {
		data = append(data, make([]byte, 16-len(data))...)
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data},
	}
}

// TestBlockers: whose rules stop what the bridge forwards, and what lets it pass.
func TestBlockers(t *testing.T) {
	drop, accept := nftables.ChainPolicyDrop, nftables.ChainPolicyAccept
	rule := func(match []expr.Any, kind expr.VerdictKind) []expr.Any {
		return append(match, &expr.Counter{}, verdictExpr(kind))
	}
	tests := []struct {
		name   string
		policy nftables.ChainPolicy
		rules  [][]expr.Any
		want   string
	}{
		{"accepts", accept, nil, "[]"},
		{"drops", drop, nil, "[chain ip filter FORWARD]"},
		{"a last rule drops", accept, [][]expr.Any{rule(nil, expr.VerdictDrop)}, "[chain ip filter FORWARD]"},
		{"a last rule rejects", accept, [][]expr.Any{{&expr.Reject{}}}, "[chain ip filter FORWARD]"},
		{"drops others'", accept, [][]expr.Any{rule(fromLink("eth0"), expr.VerdictDrop)}, "[]"},
		{"accepts the bridge", drop, [][]expr.Any{rule(fromLink("cni0"), expr.VerdictAccept)}, "[]"},
		{"accepts by a pattern", drop, [][]expr.Any{rule(fromLink("cni+"), expr.VerdictAccept)}, "[]"},
		{"accepts another", drop, [][]expr.Any{rule(fromLink("cni1"), expr.VerdictAccept)}, "[chain ip filter FORWARD]"},
		{"accepts another with the same beginning", drop, [][]expr.Any{rule(fromLink("cni"), expr.VerdictAccept)}, "[chain ip filter FORWARD]"},
		{"accepts all", drop, [][]expr.Any{rule(nil, expr.VerdictAccept)}, "[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withConn(t, func(c *nft.Conn) {
				firewall(t, c, tt.policy, tt.rules...)
				got, err := Blockers(c, "cni0")
				if s := fmt.Sprint(got); err != nil || s != tt.want {
					t.Errorf("got %s, %v, want %s", s, err, tt.want)
				}
			})
		})
	}
}

// TestAccept: our rules open the way, once, and go again without a trace.
func TestAccept(t *testing.T) {
	withConn(t, func(c *nft.Conn) {
		firewall(t, c, nftables.ChainPolicyDrop, append(fromLink("eth0"), verdictExpr(expr.VerdictDrop)))
		rules := func() int {
			t.Helper()
			list, err := c.Library().GetRules(&nftables.Table{Name: "filter", Family: nftables.TableFamilyIPv4}, &nftables.Chain{Name: "FORWARD"})
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		for range 2 {
			if err := Accept(c, "cni0"); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := Blockers(c, "cni0"); err != nil || len(got) != 0 || rules() != 3 {
			t.Errorf("after Accept: %v, %v, %d rules, want 3", got, err, rules())
		}
		if got, err := Blockers(c, "cni1"); err != nil || len(got) != 1 {
			t.Errorf("another bridge: %v, %v", got, err)
		}
		for range 2 {
			if err := Unaccept(c, "cni0"); err != nil {
				t.Fatal(err)
			}
		}
		if rules() != 1 {
			t.Errorf("after Unaccept: %d rules, want the one of before", rules())
		}
	})
}

// TestOthers: chains of iptables and tables of the reference, where there are some.
func TestOthers(t *testing.T) {
	withConn(t, func(c *nft.Conn) {
		want := Others{}
		for range 2 {
			if got, err := FindOthers(c, "EXAMPLE"); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
			if want.Reference {
				return
			}
			addForeign(t, c)
			want = Others{Chain6: true, Reference: true}
		}
	})
}

// addForeign makes a chain EXAMPLE in table ip6 nat, and a table of the reference.
func addForeign(t *testing.T, c *nft.Conn) {
	t.Helper()
	nat := c.Library().AddTable(&nftables.Table{Family: nftables.TableFamilyIPv6, Name: "nat"})
	c.Library().AddChain(&nftables.Chain{Table: nat, Name: "EXAMPLE"})
	c.Library().AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: portsTable})
	wantNil(t, c.Library().Flush())
}
