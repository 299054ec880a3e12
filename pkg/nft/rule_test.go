package nft

import (
	"net/netip"
	"testing"
)

func TestRuleText(t *testing.T) {
	tests := []struct {
		in   Part
		want string
	}{
		{Daddr(netip.MustParsePrefix("10.1.2.3/16")), "ip daddr 10.1.0.0/16"},
		{Saddr(netip.MustParsePrefix("10.1.2.3/32")), "ip saddr 10.1.2.3"},
		{Saddr(netip.MustParsePrefix("fd00::1/64")), "ip6 saddr fd00::/64"},
		{Daddr(netip.MustParsePrefix("::1/128")), "ip6 daddr ::1"},
		{Daddr(netip.MustParsePrefix("0.0.0.0/0")), "ip daddr 0.0.0.0/0"},
		{NotLoopback(), "iiftype != loopback"},
		{DaddrLocal(), "fib daddr type local"},
		{Forwarded(), "ct status dnat"},
		{Dnat("hostport4"), "dnat ip to ip daddr . meta l4proto . th dport map @hostport4"},
		{Dnat("anyport6"), "dnat ip6 to meta l4proto . th dport map @anyport6"},
		{DaddrVmap("snat4"), "ip daddr vmap @snat4"},
		{SaddrVmap("masquerade6"), "ip6 saddr vmap @masquerade6"},
		{Jump("hostports"), "jump hostports"},
		{Masq(), "masquerade"},
		{Saddr(netip.MustParsePrefix("10.1.2.3/32")).Not(), "ip saddr != 10.1.2.3"},
		{Iifname("eth0").Not(), `iifname != "eth0"`},
		{Iifname("br*"), `iifname "br*"`},
		{Mark(1, 0xff).Not(), "meta mark & 0x000000ff != 0x00000001"},
		{Mark(1, ^uint32(0)), "meta mark 0x00000001"},
		{IP6Length.Above(32), "ip6 length > 32"},
		{IP6Nexthdr.IsNumber(58).Not(), "ip6 nexthdr != 58"},
		{PortVmap("hostgate6"), "ip6 daddr . meta l4proto . th dport vmap @hostgate6"},
		{PortVmap("anygate4"), "meta nfproto ipv4 meta l4proto . th dport vmap @anygate4"},
		{PortVmap("anygate6"), "meta nfproto ipv6 meta l4proto . th dport vmap @anygate6"},
	}
	for _, tt := range tests {
		if tt.in.String() != tt.want {
			t.Errorf("got %s, want %s", tt.in, tt.want)
		}
	}
}
