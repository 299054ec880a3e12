package nft

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// full is the base, a network's chains and the link table.
func full(t *testing.T, c *Conn) []Chain {
	t.Helper()
	add(t, c, Change{Blocks: []Block{Base(), Frames()}, Chains: []Chain{masqChain, snatChain}})
	return slices.Concat(baseChains(), Frames().Chains(), []Chain{masqChain, snatChain})
}

func wantMissing(t *testing.T, c *Conn, chains []Chain, want ...string) {
	t.Helper()
	differences, err := c.Missing(chains...)
	var got []string
	for _, d := range differences {
		got = append(got, d.Chain+d.Text)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
}

func (c *Conn) listed(t *testing.T, ch Chain) []*nftables.Rule {
	t.Helper()
	rules, err := c.nl.GetRules(c.tables[ch.family()], &nftables.Chain{Name: ch.Name, Table: c.tables[ch.family()]})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func (c *Conn) flush(t *testing.T) {
	t.Helper()
	if err := c.nl.Flush(); err != nil {
		t.Error(err)
	}
}

// TestMissingRule: each rule, when it is removed, is named.
func TestMissingRule(t *testing.T) {
	withConn(t, func(c *Conn) {
		chains := full(t, c)
		wantMissing(t, c, chains)
		for _, ch := range chains {
			for i, r := range ch.Rules {
				if err := c.nl.DelRule(c.listed(t, ch)[i]); err != nil {
					t.Fatal(err)
				}
				c.flush(t)
				wantMissing(t, c, chains, "chain "+string(ch.family())+" bridgeport "+ch.Name+": rule `"+r.Text+"` is missing")
				c.restore(t, ch)
			}
		}
		wantMissing(t, c, chains)
	})
}

// restore writes the chain's rules anew.
func (c *Conn) restore(t *testing.T, ch Chain) {
	t.Helper()
	c.nl.FlushChain(&nftables.Chain{Name: ch.Name, Table: c.tables[ch.family()]})
	c.queueChain(ch)
	c.flush(t)
}

// TestMissingChain: a chain that is gone is named, its rules are not.
func TestMissingChain(t *testing.T) {
	withConn(t, func(c *Conn) {
		chains := full(t, c)
		for _, ch := range slices.Backward(chains) { // those that jump before those they jump to
			for _, r := range c.listed(t, ch) {
				if err := c.nl.DelRule(r); err != nil {
					t.Fatal(err)
				}
			}
			c.nl.DelChain(&nftables.Chain{Name: ch.Name, Table: c.tables[ch.family()]})
			c.flush(t)
			wantMissing(t, c, []Chain{ch}, "chain "+string(ch.family())+" bridgeport "+ch.Name+" is missing")
		}
	})
}

// TestMissingHook: a chain without its hook sees no packet.
func TestMissingHook(t *testing.T) {
	withConn(t, func(c *Conn) {
		guard := baseChain("guard")
		plain := guard
		plain.Hook = nil
		c.nl.AddTable(c.tables[Inet])
		c.queueChain(plain)
		c.flush(t)
		wantMissing(t, c, []Chain{guard}, "chain inet bridgeport guard is not a base chain with type filter hook prerouting priority raw")
	})
}

// TestMissingTampered: a rule that was changed in any part is not the same rule.
func TestMissingTampered(t *testing.T) {
	guard := baseChain("guard")
	hostports := baseChains()[0]
	tests := []struct {
		name   string
		chain  Chain
		rule   int
		tamper func(exprs []expr.Any)
	}{
		{"another verdict", guard, 0, func(e []expr.Any) { e[len(e)-1].(*expr.Verdict).Kind = expr.VerdictAccept }},
		{"another constant", guard, 0, func(e []expr.Any) { e[len(e)-2].(*expr.Cmp).Data = []byte{126, 0, 0, 0} }},
		{"another comparison", guard, 0, func(e []expr.Any) { e[1].(*expr.Cmp).Op = expr.CmpOpEq }},
		{"another mask", guard, 0, func(e []expr.Any) { find[*expr.Bitwise](e).Mask = []byte{255, 255, 255, 0} }},
		{"another field", guard, 1, func(e []expr.Any) { find[*expr.Payload](e).Offset = 4 }},
		{"another key", guard, 0, func(e []expr.Any) { e[0].(*expr.Meta).Key = expr.MetaKeyOIFTYPE }},
		{"another map", hostports, 3, func(e []expr.Any) { find[*expr.Lookup](e).SetName = "anyport4b" }},
		{"source instead of destination", hostports, 3, func(e []expr.Any) { find[*expr.NAT](e).Type = expr.NATTypeSourceNAT }},
		{"another port", hostports, 3, func(e []expr.Any) { find[*expr.Payload](e).Offset = 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.chain.Rules[tt.rule]
			have := kernelRule{want.Comment, copyOf(t, want.exprs)}
			if bad := compareRules("x", []Rule{want}, []kernelRule{have}); len(bad) != 0 {
				t.Fatalf("untouched: got %q", bad)
			}
			tt.tamper(have.exprs)
			if bad := compareRules("x", []Rule{want}, []kernelRule{have}); len(bad) != 1 || !strings.Contains(bad[0].Text, want.Text) {
				t.Errorf("got %q", bad)
			}
		})
	}
}

// TestMissingReloaded: nft(8) writes rules in another form when it loads what it has saved.
func TestMissingReloaded(t *testing.T) {
	guard := baseChain("guard").Rules[0]
	network := func(n, offset uint32) *expr.Payload {
		return &expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: n}
	}
	arp := NewRule("arp", Payload{"@nh,0,48", expr.PayloadBaseNetworkHeader, 0, 6}.Is(0, 1, 8, 0, 6, 4), Drop())
	advertised := NewRule("ra", L4proto(unix.IPPROTO_ICMPV6), Drop())
	frame := func(kind ...byte) []expr.Any {
		return []expr.Any{&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseLLHeader, Offset: 12, Len: 2}, equals(kind)}
	}
	tests := []struct {
		name string
		want Rule
		have []expr.Any
		same bool
	}{
		{"a prefix is a shorter field", guard, slices.Concat(guard.exprs[:4], []expr.Any{network(1, 16), equals([]byte{127})}, guard.exprs[len(guard.exprs)-1:]), true},
		{"another prefix", guard, slices.Concat(guard.exprs[:4], []expr.Any{network(1, 16), equals([]byte{126})}, guard.exprs[len(guard.exprs)-1:]), false},
		{"a longer prefix", guard, slices.Concat(guard.exprs[:4], []expr.Any{network(2, 16), equals([]byte{127, 0})}, guard.exprs[len(guard.exprs)-1:]), false},
		{"the source", guard, slices.Concat(guard.exprs[:4], []expr.Any{network(1, 12), equals([]byte{127})}, guard.exprs[len(guard.exprs)-1:]), false},
		{"no address at all", guard, slices.Concat(guard.exprs[:4], guard.exprs[len(guard.exprs)-1:]), false},
		{"a field is two", arp, []expr.Any{network(4, 0), equals([]byte{0, 1, 8, 0}), network(2, 4), equals([]byte{6, 4}), &expr.Verdict{Kind: expr.VerdictDrop}}, true},
		{"half of a field", arp, []expr.Any{network(4, 0), equals([]byte{0, 1, 8, 0}), &expr.Verdict{Kind: expr.VerdictDrop}}, false},
		{"a protocol brings its family", advertised, slices.Concat(frame(0x86, 0xdd), advertised.exprs), true},
		{"another family", advertised, slices.Concat(frame(0x08, 0x00), advertised.exprs), false},
	}
	for _, tt := range tests {
		bad := compareRules("x", []Rule{tt.want}, []kernelRule{{tt.want.Comment, tt.have}})
		if same := len(bad) == 0; same != tt.same {
			t.Errorf("%s: got %v", tt.name, bad)
		}
	}
}

// TestMissingOrder: who may use a port is asked before the port leads anywhere.
func TestMissingOrder(t *testing.T) {
	var have []kernelRule
	want := baseChains()[0].Rules
	for _, r := range slices.Backward(want) {
		have = append(have, kernelRule{r.Comment, r.exprs})
	}
	bad := compareRules("x", want, have)
	if len(bad) != len(want)-1 || !strings.Contains(bad[0].Text, "stands before those that it must follow") {
		t.Errorf("got %q", bad)
	}
}

// TestMissingPart: of a block that an earlier release made with fewer chains, Add makes what is missing, and
// no rule twice.
func TestMissingPart(t *testing.T) {
	withConn(t, func(c *Conn) {
		chains := full(t, c)
		for _, b := range []Block{Base(), Frames()} {
			last := b.Chains()[len(b.Chains())-1]
			c.nl.FlushChain(&nftables.Chain{Name: last.Name, Table: c.tables[last.family()]})
			c.nl.DelChain(&nftables.Chain{Name: last.Name, Table: c.tables[last.family()]})
			c.flush(t)
			wantMissing(t, c, []Chain{last}, last.label()+" is missing")
			if err := c.Add(Change{Blocks: []Block{b}}); err != nil {
				t.Fatal(err)
			}
			wantMissing(t, c, chains)
			for _, ch := range b.Chains() {
				if have := len(c.listed(t, ch)); have != len(ch.Rules) {
					t.Errorf("%s has %d rules, want %d", ch.label(), have, len(ch.Rules))
				}
			}
		}
	})
}

// TestMissingExtra: rules that others add are not our business.
func TestMissingExtra(t *testing.T) {
	withConn(t, func(c *Conn) {
		chains := full(t, c)
		k := &nftables.Chain{Name: "guard", Table: c.tables[Inet]}
		c.nl.InsertRule(&nftables.Rule{Table: c.tables[Inet], Chain: k, Exprs: []expr.Any{&expr.Counter{}}})
		c.flush(t)
		wantMissing(t, c, chains)
	})
}
