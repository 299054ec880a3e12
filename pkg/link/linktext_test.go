package link

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"golang.org/x/sys/unix"
)

func TestBroadcast(t *testing.T) {
	for in, want := range map[string]string{
		"10.1.2.3/16": "10.1.255.255", "10.1.2.3/30": "10.1.2.3", "10.1.2.4/30": "10.1.2.7", "10.0.0.1/0": "255.255.255.255", "10.1.2.3/32": "10.1.2.3",
	} {
		if got := net.IP(broadcast(netip.MustParsePrefix(in))).String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestRouteText(t *testing.T) {
	dst, gw := netip.MustParsePrefix, netip.MustParseAddr
	tests := []struct {
		in   Route
		want string
	}{
		{Route{Dst: dst("0.0.0.0/0"), Gw: gw("10.1.0.1")}, "ip route add default via 10.1.0.1 dev eth0"},
		{Route{Dst: dst("::/0"), Gw: gw("fd00::1")}, "ip -6 route add default via fd00::1 dev eth0"},
		{Route{Dst: dst("0.0.0.0/8")}, "ip route add 0.0.0.0/8 dev eth0"},
		{Route{Dst: dst("fd01::/64"), MTU: 1400}, "ip route add fd01::/64 mtu 1400 dev eth0"},
		{Route{Dst: dst("10.9.0.0/16"), Gw: gw("10.1.0.1"), Priority: 5, Table: 100, Scope: unix.RT_SCOPE_LINK, MTU: 1400, AdvMSS: 1300}, "ip route add 10.9.0.0/16 via 10.1.0.1 metric 5 table 100 scope 253 mtu 1400 advmss 1300 dev eth0"},
		{Route{Dst: dst("10.9.0.0/16"), Table: unix.RT_TABLE_MAIN}, "ip route add 10.9.0.0/16 dev eth0"},
	}
	for _, tt := range tests {
		tt.in.IfName = "eth0"
		if got := tt.in.String(); got != "nsenter --net=$CNI_NETNS "+tt.want {
			t.Errorf("got  %s\nwant nsenter --net=$CNI_NETNS %s", got, tt.want)
		}
	}
}

// TestNotes: only settings that we change can ever be noted, since what is noted is written
// back.
func TestNotes(t *testing.T) {
	tests := []struct {
		alias string
		want  []string
	}{
		{"", nil},
		{"bridgeport", nil},
		{"bridgeport was-0:net/ipv4/ip_forward", []string{forward4}},
		{"bridgeport was-0:net/ipv4/ip_forward was-0:net/ipv6/conf/all/forwarding", []string{forward4, forward6}},
		{"bridgeport was-0:kernel/panic was-0:../../etc/x was-0:", nil},
		{"bridgeport net/ipv4/ip_forward", nil},
		{"bridgeport was-1:net/ipv6/conf/eth0.5/accept_ra", []string{acceptRA("eth0.5")}},
		{"bridgeport was-0:net/ipv6/conf/eth0/accept_ra was-1:net/ipv4/ip_forward", nil},
		{"bridgeport was-1:net/ipv6/conf/../accept_ra was-1:net/ipv6/conf/a/b/accept_ra", nil},
	}
	for _, tt := range tests {
		if got := notes(tt.alias); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.alias, got, tt.want)
		}
	}
	alias := bridgeAlias
	for _, key := range []string{forward4, forward6, forward4} {
		alias = withNote(alias, key)
	}
	if got := withNote(strings.Repeat("x", aliasLimit-10), forward4); len(got) != aliasLimit-10 {
		t.Errorf("a note without room for it: %q", got)
	}
	if want := "bridgeport was-0:net/ipv4/ip_forward was-0:net/ipv6/conf/all/forwarding"; alias != want || !ours(&rtnl.Link{Alias: alias}) {
		t.Errorf("got %q, want %q", alias, want)
	}
}

func TestOurs(t *testing.T) {
	for alias, want := range map[string]bool{"bridgeport": true, "bridgeport x": true, "bridgeports": false, "": false, "my bridgeport": false} {
		if got := ours(&rtnl.Link{Alias: alias}); got != want {
			t.Errorf("%q: got %t, want %t", alias, got, want)
		}
	}
}

func TestSysctlText(t *testing.T) {
	in := Inside{{Key: "net/ipv6/conf/eth0/accept_dad", Value: "0"}, {Key: "net/ipv4/conf/eth0/arp_notify", Value: "1"}}
	want := "nsenter --net=$CNI_NETNS sysctl -w net.ipv6.conf.eth0.accept_dad=0\nnsenter --net=$CNI_NETNS sysctl -w net.ipv4.conf.eth0.arp_notify=1"
	if got := in.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (Forwarding{IPv6: true}).String(); got != "sysctl -w net.ipv6.conf.all.forwarding=1" {
		t.Errorf("got %s", got)
	}
}
