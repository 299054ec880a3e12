package ruleset

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func prefixes(text string) []netip.Prefix {
	var list []netip.Prefix
	for _, s := range strings.Fields(text) {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

// TestBase: all that exists before the first attachment.
func TestBase(t *testing.T) {
	text := Base().String() + "\n"
	for _, c := range append(Frames().Chains(), trafficChain()) {
		text += c.String() + "\n"
	}
	for _, b := range []nft.Block{Isolation(), Egress(), Neighbours()} {
		text += b.String() + "\n"
	}
	golden(t, "base.nft", text)
}

// TestNetworkChains: the rules of a network.
func TestNetworkChains(t *testing.T) {
	two := prefixes("10.88.0.0/16 fd00::/64")
	golden(t, "network.nft", strings.Join([]string{
		MasqueradeChain("net", two).String(),
		ReplyChain("net", two, false).String(),
		ReplyChain("net", two, true).String(),
		HideChain("net", []string{"cni0"}).String(),
		LimitChain("net", 1000).String(),
		NetworkChain("net", []string{"cni0", "cni0.100"}, true).String(),
		BoundChain("veth1", net.HardwareAddr{0x0a, 0x58, 10, 88, 0, 2}, []netip.Addr{netip.MustParseAddr("10.88.0.2"), netip.MustParseAddr("fd00::2")}).String(),
	}, "\n")+"\n")
}

// TestGateChain: who may use a port.
func TestGateChain(t *testing.T) {
	gates := []Gate{
		{Limited: true, Allow: prefixes("fd00::/64 192.0.2.0/24 192.0.2.7/32")},
		{Limited: true},
		{MarkBits: 0x20, MarkFrom: prefixes("10.88.0.0/16 127.0.0.0/8")},
		{MarkBits: 0x20, MarkAll: true},
		{Conditions: []Condition{
			{Field: Source, Prefixes: prefixes("192.0.2.0/24 198.51.100.7/32")},
			{Field: Destination, Not: true, Prefixes: prefixes("2001:db8::/32 2001:db8:1::1/128")},
			{Field: Interface, Names: []string{"eth0", "br*"}},
			{Field: Interface, Not: true, Names: []string{"cni0"}},
			{Field: Mark, Marks: []MarkValue{{0x1, 0xff}}},
			{Field: Mark, Not: true, Marks: []MarkValue{{0x4000, ^uint32(0)}}},
		}},
	}
	var text []string
	for _, g := range gates {
		if g.Open() {
			t.Errorf("%+v is open", g)
		}
		text = append(text, GateChain("net", g).String())
	}
	golden(t, "gate.nft", strings.Join(text, "\n")+"\n")
	if !(Gate{MarkFrom: gates[2].MarkFrom}).Open() {
		t.Error("no gate is not open")
	}
}

// TestEgressForm: whoever changes the rules that follow from a policy changes egressForm, so that a
// container of an earlier release keeps its chain, and a new one does not get it.
func TestEgressForm(t *testing.T) {
	entries := []Entry{
		{To: prefixes("192.0.2.0/24 2001:db8::/32")},
		{To: prefixes("198.51.100.7/32 203.0.113.0/24"), Protocol: 6, Ports: []nft.PortRange{{First: 443, Last: 443}, {First: 8000, Last: 8999}}},
		{To: prefixes("198.51.100.9/32"), Protocol: 6, Ports: []nft.PortRange{{First: 443, Last: 443}, {First: 8000, Last: 8999}}},
		{To: prefixes("198.51.100.8/32"), Protocol: 1},
		{Host: true, Protocol: 17},
		{Names: "web", Protocol: 6},
	}
	text := fmt.Sprintf("# form %d\n", egressForm)
	for _, p := range []Policy{{Deny: true, First: entries[:1], Then: entries}, {First: entries[4:], Then: entries[:2]}} {
		for _, c := range EgressChains("net", prefixes("10.88.0.0/16 fd00::/64"), p) {
			text += c.String() + "\n"
		}
	}
	golden(t, "egress.nft", text)
}

// TestEgressChainName: whatever differs in two policies gives two names.
func TestEgressChainName(t *testing.T) {
	names := make(map[string]int)
	add := func(i int, near []netip.Prefix, p Policy) {
		for _, c := range EgressChains("net", near, p) {
			if j, twice := names[c.Name]; twice {
				t.Errorf("policies %d and %d have one chain %s", i, j, c.Name)
			}
			names[c.Name] = i
		}
	}
	a, b := prefixes("10.0.0.0/8"), prefixes("10.0.0.0/9")
	port := []nft.PortRange{{First: 1, Last: 2}}
	for i, p := range []Policy{
		{},
		{Deny: true},
		{First: []Entry{{To: a}}},
		{Then: []Entry{{To: a}}},
		{Then: []Entry{{To: b}}},
		{Then: []Entry{{To: append(a[:1:1], b...)}}},
		{Then: []Entry{{To: a}, {To: b}}},
		{Then: []Entry{{To: a, Host: true}}},
		{Then: []Entry{{To: a, Names: "x"}}},
		{Then: []Entry{{To: a, Protocol: 6}}},
		{Then: []Entry{{To: a, Protocol: 6, Ports: port}}},
		{Then: []Entry{{To: a, Protocol: 6, Ports: append(port[:1:1], port...)}}},
		{Then: []Entry{{To: prefixes("::/8")}}},
		{Then: []Entry{{To: prefixes("0.0.0.0/8")}}},
	} {
		add(i, nil, p)
		add(100+i, a, p)
	}
}

// TestChainName: a chain is known by its rules, whatever order they were given in.
func TestChainName(t *testing.T) {
	masq := func(network, skip string) string { return MasqueradeChain(network, prefixes(skip)).Name }
	reply := func(network, subnets string, all bool) string {
		return ReplyChain(network, prefixes(subnets), all).Name
	}
	a := masq("net", "10.1.0.0/24 fd00::/64")
	tests := []struct {
		name string
		got  string
		same bool // as a
	}{
		{"the same", masq("net", "10.1.0.0/24 fd00::/64"), true},
		{"another order", masq("net", "fd00::/64 10.1.0.0/24"), true},
		{"one twice", masq("net", "10.1.0.0/24 fd00::/64 10.1.0.0/24"), true},
		{"one less", masq("net", "10.1.0.0/24"), false},
		{"another length", masq("net", "10.1.0.0/25 fd00::/64"), false},
		{"another network", masq("net2", "10.1.0.0/24 fd00::/64"), false},
		{"the other kind", reply("net", "10.1.0.0/24 fd00::/64", false), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if (tt.got == a) != tt.same {
				t.Errorf("got %s and %s", tt.got, a)
			}
		})
	}
	if reply("net", "10.1.0.0/24", true) != reply("net", "10.2.0.0/24", true) {
		t.Error("with masqAll the subnets make no difference")
	}
	// NFT_NAME_MAXLEN is 256 with the terminating zero.
	if n := masq(strings.Repeat("n", 300), ""); len(n) > 255 {
		t.Errorf("got %d bytes: %s", len(n), n)
	}
}

// TestRuleComment: nft refuses to load a longer one.
func TestRuleComment(t *testing.T) {
	for _, c := range append(baseChains(), MasqueradeChain(strings.Repeat("n", 300), nil), ReplyChain("net", prefixes("2001:db8:1234:5678::/64"), false)) {
		for _, r := range c.Rules {
			if len(r.Comment) > nft.CommentLimit || r.Comment == "" {
				t.Errorf("%s: comment of %d bytes: %s", r.Text, len(r.Comment), r.Comment)
			}
		}
	}
	for _, s := range nft.Sets() {
		if len(s.Comment) > nft.CommentLimit || s.Comment == "" {
			t.Errorf("%s: comment of %d bytes: %s", s.Name, len(s.Comment), s.Comment)
		}
	}
}
