package nft

import (
	"fmt"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// firewall makes somebody's filter chain at the forward hook.
func (c *Conn) firewall(t *testing.T, policy nftables.ChainPolicy, rules ...[]expr.Any) {
	t.Helper()
	table := c.nl.AddTable(&nftables.Table{Name: "filter", Family: nftables.TableFamilyIPv4})
	ch := c.nl.AddChain(&nftables.Chain{
		Table: table, Name: "FORWARD", Type: nftables.ChainTypeFilter, Policy: &policy,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	for _, r := range rules {
		c.nl.AddRule(&nftables.Rule{Table: table, Chain: ch, Exprs: r})
	}
	c.flush(t)
}

func verdictExpr(kind expr.VerdictKind) expr.Any { return &expr.Verdict{Kind: kind} }

// fromLink: iifname name, or with a '+' at its end each link that begins so.
func fromLink(name string) []expr.Any {
	data := []byte(name)
	if n := len(name) - 1; name[n] == '+' {
		data = data[:n]
	} else {
		data = append(data, make([]byte, ifNameSize-len(data))...)
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
			withConn(t, func(c *Conn) {
				c.firewall(t, tt.policy, tt.rules...)
				got, err := c.Blockers("cni0")
				if s := fmt.Sprint(got); err != nil || s != tt.want {
					t.Errorf("got %s, %v, want %s", s, err, tt.want)
				}
			})
		})
	}
}

// TestAccept: our rules open the way, once, and go again without a trace.
func TestAccept(t *testing.T) {
	withConn(t, func(c *Conn) {
		c.firewall(t, nftables.ChainPolicyDrop, append(fromLink("eth0"), verdictExpr(expr.VerdictDrop)))
		rules := func() int {
			t.Helper()
			list, err := c.nl.GetRules(&nftables.Table{Name: "filter", Family: nftables.TableFamilyIPv4}, &nftables.Chain{Name: "FORWARD"})
			if err != nil {
				t.Fatal(err)
			}
			return len(list)
		}
		for range 2 {
			if err := c.Accept("cni0"); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := c.Blockers("cni0"); err != nil || len(got) != 0 || rules() != 3 {
			t.Errorf("after Accept: %v, %v, %d rules, want 3", got, err, rules())
		}
		if got, err := c.Blockers("cni1"); err != nil || len(got) != 1 {
			t.Errorf("another bridge: %v, %v", got, err)
		}
		for range 2 {
			if err := c.Unaccept("cni0"); err != nil {
				t.Fatal(err)
			}
		}
		if rules() != 1 {
			t.Errorf("after Unaccept: %d rules, want the one of before", rules())
		}
	})
}
