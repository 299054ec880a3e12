package nft

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

var (
	addr4   = netip.MustParseAddr("10.88.0.2")
	addr6   = netip.MustParseAddr("fd00::2")
	to4     = netip.AddrPortFrom(addr4, 80)
	to6     = netip.AddrPortFrom(addr6, 80)
	noAddr  netip.Addr
	comment = "482c2e79-fca877ccd11 net/c1/eth0"
)

const hex6 = "fd000000000000000000000000000002"

// TestElement: the text that a person reads and the bytes that the kernel gets say
// the same.
func TestElement(t *testing.T) {
	tests := []struct {
		name            string
		in              Element
		text, key, more string // more: value or chain
	}{
		{"any, IPv4", HostPort(noAddr, 6, 8080, to4, comment), "inet bridgeport anyport4 { tcp . 8080 comment %q : 10.88.0.2 . 80 }", "06000000" + "1f900000", "0a580002" + "00500000"},
		{"0.0.0.0", HostPort(netip.IPv4Unspecified(), 17, 53, to4, comment), "inet bridgeport anyport4 { udp . 53 comment %q : 10.88.0.2 . 80 }", "11000000" + "00350000", "0a580002" + "00500000"},
		{"one, IPv4", HostPort(netip.MustParseAddr("192.0.2.1"), 132, 9, to4, comment), "inet bridgeport hostport4 { 192.0.2.1 . sctp . 9 comment %q : 10.88.0.2 . 80 }", "c0000201" + "84000000" + "00090000", "0a580002" + "00500000"},
		{"any, IPv6", HostPort(noAddr, 6, 65535, to6, comment), "inet bridgeport anyport6 { tcp . 65535 comment %q : fd00::2 . 80 }", "06000000" + "ffff0000", hex6 + "00500000"},
		{"::", HostPort(netip.IPv6Unspecified(), 6, 1, to6, comment), "inet bridgeport anyport6 { tcp . 1 comment %q : fd00::2 . 80 }", "06000000" + "00010000", hex6 + "00500000"},
		{"one, IPv6", HostPort(netip.MustParseAddr("2001:db8::1"), 6, 8080, to6, comment), "inet bridgeport hostport6 { 2001:db8::1 . tcp . 8080 comment %q : fd00::2 . 80 }", "20010db8000000000000000000000001" + "06000000" + "1f900000", hex6 + "00500000"},
		{"masquerade", OfContainer(ClassMasquerade, addr4, "masq-net-1", comment), "inet bridgeport masquerade4 { 10.88.0.2 comment %q : jump masq-net-1 }", "0a580002", "masq-net-1"},
		{"masquerade, IPv6", OfContainer(ClassMasquerade, addr6, "masq-net-1", comment), "inet bridgeport masquerade6 { fd00::2 comment %q : jump masq-net-1 }", hex6, "masq-net-1"},
		{"reply path", OfContainer(ClassReply, addr4, "snat-net-1", comment), "inet bridgeport snat4 { 10.88.0.2 comment %q : jump snat-net-1 }", "0a580002", "snat-net-1"},
		{"reply path, IPv6", OfContainer(ClassReply, addr6, "snat-net-1", comment), "inet bridgeport snat6 { fd00::2 comment %q : jump snat-net-1 }", hex6, "snat-net-1"},
		{"holder", Holder("published", "vethfca877ccd11", comment), `inet bridgeport published { "vethfca877ccd11" comment %q }`, hex.EncodeToString([]byte("vethfca877ccd11\x00")), ""},
		{"guarded port", Holder(MarkGuarded, "veth1", comment), `bridge bridgeport guarded { "veth1" comment %q }`, hex.EncodeToString([]byte("veth1\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")), ""},
		{"allowed MAC", AllowedMAC("veth1", net.HardwareAddr{10, 88, 0, 0, 0, 2}, comment), `bridge bridgeport macs { "veth1" . 0a:58:00:00:00:02 comment %q }`, hex.EncodeToString([]byte("veth1\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")) + "0a5800000002" + "0000", ""},
		{"bound port", OfPort(ClassBound, "veth1", "bound-veth1-12345678", comment), `bridge bridgeport bound { "veth1" comment %q : jump bound-veth1-12345678 }`, hex.EncodeToString([]byte("veth1\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")), "bound-veth1-12345678"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if want := "nft 'add element " + fmt.Sprintf(tt.text, comment) + "'"; tt.in.String() != want {
				t.Errorf("text: got  %s\nwant %s", tt.in, want)
			}
			if got := hex.EncodeToString(tt.in.Key); got != tt.key {
				t.Errorf("key: got %s, want %s", got, tt.key)
			}
			if got := hex.EncodeToString(tt.in.Value) + tt.in.Chain; got != tt.more {
				t.Errorf("value or chain: got %s, want %s", got, tt.more)
			}
			// What is read back from the kernel prints as what was written.
			_, rest, _ := strings.Cut(tt.text, " bridgeport ")
			if want := strings.Replace(rest, " comment %q", "", 1); tt.in.Target() != want {
				t.Errorf("target: got %s, want %s", tt.in.Target(), want)
			}
			if want, _, _ := strings.Cut(strings.Replace(rest, " comment %q }", " }", 1), " comment"); !strings.HasPrefix(tt.in.Name(), want) {
				t.Errorf("name: got %s, want %s", tt.in.Name(), want)
			}
		})
	}
}

func TestElementWithoutComment(t *testing.T) {
	e := HostPort(noAddr, 6, 8080, to4, "")
	if want := "nft 'add element inet bridgeport anyport4 { tcp . 8080 : 10.88.0.2 . 80 }'"; e.String() != want {
		t.Errorf("got  %s\nwant %s", e, want)
	}
}

// TestStrangeText: what an unknown version of us or a person wrote is printed in
// some way, without a crash.
func TestStrangeText(t *testing.T) {
	for set, want := range map[string]string{"anyport4": "010203", "hostport6": "010203", "masqueraded": `"\x01\x02\x03"`, "macs": `"\x01\x02\x03"`} {
		if got := fieldsText(setOf(set).Key, []byte{1, 2, 3}); got != want {
			t.Errorf("%s: got %s, want %s", set, got, want)
		}
	}
	if got := fieldsText(port, []byte{1, 0, 0, 0, 0, 80, 0, 0}); got != "1 . 80" {
		t.Errorf("ICMP: got %s", got)
	}
	if got := fieldsText(setOf("anyport4").Value, []byte{1, 2}); got != "0102" {
		t.Errorf("got %s", got)
	}
}

func TestForward(t *testing.T) {
	for _, to := range []netip.AddrPort{to4, to6} {
		for _, host := range []netip.Addr{noAddr, to.Addr()} {
			proto, port, got, ok := HostPort(host, 17, 53, to, comment).Forward()
			if proto != 17 || port != 53 || got != to || !ok {
				t.Errorf("got %d %d %s %t", proto, port, got, ok)
			}
		}
	}
	for _, e := range []Element{OfContainer(ClassMasquerade, addr4, "c", comment), Holder("published", "veth1", comment), {Value: make([]byte, 8)}} {
		if _, _, _, ok := e.Forward(); ok {
			t.Errorf("%s forwards", e.Set)
		}
	}
}
