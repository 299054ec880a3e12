package nft

import (
	"net/netip"
	"testing"

	"github.com/google/nftables"
)

func prefixList(list ...string) (prefixes []netip.Prefix) {
	for _, p := range list {
		prefixes = append(prefixes, netip.MustParsePrefix(p))
	}
	return prefixes
}

// TestDestinations: how nft(8) says where a packet goes.
func TestDestinations(t *testing.T) {
	tests := []struct {
		part Part
		want string
	}{
		{DaddrAmong(Inet, prefixList("10.0.0.0/8")), "ip daddr 10.0.0.0/8"},
		{DaddrAmong(Bridge, prefixList("10.0.0.1/32", "10.0.0.1/32")), "ip daddr 10.0.0.1"},
		{DaddrAmong(Inet, prefixList("10.1.0.0/16", "10.0.0.0/8", "10.2.0.0/16")), "ip daddr 10.0.0.0/8"},
		{DaddrAmong(Inet, prefixList("192.0.2.1/32", "10.0.0.0/9", "10.128.0.0/9", "255.255.255.255/32")), "ip daddr { 10.0.0.0/8, 192.0.2.1, 255.255.255.255 }"},
		{DaddrAmong(Inet, prefixList("fd00::1/128", "2001:db8::/32")), "ip6 daddr { 2001:db8::/32, fd00::1 }"},
		{DaddrAmong(Inet, prefixList("10.0.0.1/32", "0.0.0.0/0")), "meta nfproto ipv4"},
		{DaddrAmong(Inet, prefixList("0.0.0.0/1", "128.0.0.0/1")), "meta nfproto ipv4"},
		{DaddrAmong(Inet, prefixList("10.0.0.0/9", "10.128.0.0/9")), "ip daddr 10.0.0.0/8"},
		{DaddrAmong(Inet, prefixList("10.0.0.0/8", "11.0.0.0/9")), "ip daddr 10.0.0.0-11.127.255.255"},
		{DaddrAmong(Bridge, prefixList("::/0")), "meta protocol ip6"},
		{DportAmong(6, nil), "meta l4proto 6"},
		{DportAmong(6, []PortRange{{443, 443}}), "tcp dport 443"},
		{DportAmong(17, []PortRange{{8000, 8999}}), "udp dport 8000-8999"},
		{DportAmong(132, []PortRange{{8000, 8999}, {443, 443}, {8500, 9500}}), "sctp dport { 443, 8000-9500 }"},
		{DportAmong(6, []PortRange{{1, 65535}, {2, 2}}), "tcp dport 1-65535"},
	}
	for _, tt := range tests {
		if got := tt.part.String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

// TestLiteral: what the kernel gives back is what was written, in whichever order.
func TestLiteral(t *testing.T) {
	for _, list := range [][]string{
		{"10.0.0.0/8", "192.0.2.1/32"},
		{"10.0.0.0/9", "10.128.0.0/9", "0.0.0.0/8", "224.0.0.0/3"},
		{"192.0.2.1/32", "255.255.255.255/32", "0.0.0.0/32"},
		{"::/128", "fd00::/8", "ff00::/8"},
	} {
		var spans []span
		for _, p := range prefixList(list...) {
			spans = append(spans, spanOf(p))
		}
		wrote, read := &literal{spans: merged(spans)}, &literal{}
		elements := wrote.elements()
		for i, j := 0, len(elements)-1; i < j; i, j = i+1, j-1 {
			elements[i], elements[j] = elements[j], elements[i]
		}
		if wrote.ranges() { // nft(8) closes what lies before the first one
			elements = append(elements, nftables.SetElement{Key: make([]byte, len(spans[0].first)), IntervalEnd: true})
		}
		if read.read(elements); read.String() != wrote.String() {
			t.Errorf("got %s, want %s", read, wrote)
		}
	}
}

// TestLiteralInKernel: a rule whose set somebody changed is another rule.
func TestLiteralInKernel(t *testing.T) {
	withConn(t, func(c *Conn) {
		chain := func(name string, ports ...PortRange) Chain {
			return Chain{Name: name, Rules: []Rule{NewRule("ports", DaddrAmong(Inet, prefixList("10.0.0.0/8", "192.0.2.1/32")), DportAmong(6, ports), DaddrNamed("web", true), Return())}}
		}
		is := chain("egress-a", PortRange{443, 443}, PortRange{8000, 8999})
		add(t, c, Change{Blocks: []Block{Base()}, Chains: []Chain{is}})
		for want, ch := range map[int]Chain{0: is, 1: {Name: "egress-a", Rules: chain("", PortRange{443, 443}, PortRange{8000, 8998}).Rules}} {
			bad, err := c.Missing(ch)
			if err != nil || len(bad) != want {
				t.Errorf("%s: got %v, %v", ch.Rules[0].Text, bad, err)
			}
		}
		if err := c.Tidy(); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"egress-a", "names-web4"} {
			if have, err := c.nl.GetSets(c.tables[Inet]); err != nil || hasSet(have, name) {
				t.Errorf("%s is still there: %v", name, err)
			}
		}
	})
}

func hasSet(list []*nftables.Set, name string) bool {
	for _, s := range list {
		if s.Name == name || s.Anonymous {
			return true
		}
	}
	return false
}
