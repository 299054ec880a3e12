package conntrack

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// ip and proto are the two halves of a tuple.
func ip(src, dst string) []byte {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	kind := uint16(ip4Src)
	if s.Is6() {
		kind = ip6Src
	}
	return nest(tupleIP, attr(kind, s.AsSlice()...), attr(kind+1, d.AsSlice()...))
}

func proto(number byte, from, to string) []byte {
	return nest(tupleProto, attr(protoNum, number), attr(srcPort, []byte(from)...), attr(dstPort, []byte(to)...))
}

// TestParse: a flow from 192.0.2.9 to this host, which 10.88.0.2 answers.
func TestParse(t *testing.T) {
	orig := nest(tupleOrig, ip("192.0.2.9", "192.0.2.1"), proto(17, "\x00\x09", "\x00\x35"))
	reply := nest(tupleReply, ip("10.88.0.2", "192.0.2.9"), proto(17, "\x14\xe9", "\x00\x09"))
	flow, ok := parse(slices.Concat(orig, reply))
	if !ok || flow.Protocol != 17 || flow.Client.String() != "192.0.2.9:9" || flow.Dest.String() != "192.0.2.1:53" || flow.Server.String() != "10.88.0.2:5353" {
		t.Errorf("got %+v, %t", flow, ok)
	}
	if string(flow.orig) != string(orig[4:]) {
		t.Errorf("the name of the flow: got %x, want %x", flow.orig, orig[4:])
	}
	orig6 := nest(tupleOrig, ip("2001:db8::9", "2001:db8::1"), proto(6, "\x00\x09", "\x00\x50"))
	reply6 := nest(tupleReply, ip("fd00::2", "2001:db8::9"))
	if flow, ok := parse(slices.Concat(orig6, reply6)); !ok || flow.Dest.String() != "[2001:db8::1]:80" || flow.Server.Addr().String() != "fd00::2" {
		t.Errorf("IPv6: got %+v, %t", flow, ok)
	}
}

// TestParseStrange: what lacks an address is no flow, and nothing is a crash.
func TestParseStrange(t *testing.T) {
	orig := string(nest(tupleOrig, ip("192.0.2.9", "192.0.2.1")))
	for name, data := range map[string]string{
		"nothing":          "",
		"no reply":         orig,
		"cut":              orig[:len(orig)-3],
		"empty attributes": string(nest(tupleOrig)) + string(nest(tupleReply)),
		"short address":    orig + string(nest(tupleReply, nest(tupleIP, attr(ip4Src, 1)))),
	} {
		if flow, ok := parse([]byte(data)); ok {
			t.Errorf("%s: got %+v", name, flow)
		}
	}
	if got := port([]byte{1}); got != 0 {
		t.Errorf("half a port: got %d", got)
	}
}

// TestFilter: the bytes for the kernel (CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_FILTER).
func TestFilter(t *testing.T) {
	tests := []struct {
		name string
		in   Filter
		want string // lengths, types and values, in hex
	}{
		{"all", Filter{}, ""},
		{"protocol", Filter{Protocol: 17}, "1000 0180 0c00 0280 0500 0100 11000000 0c00 1980 0800 0100 08000000"},
		{"port", Filter{Protocol: 17, DestPort: 53}, "1800 0180 1400 0280 0500 0100 11000000 0600 0300 00350000 0c00 1980 0800 0100 28000000"},
		{"server", Filter{Server: netip.MustParseAddrPort("10.88.0.2:0")}, "1000 0280 0c00 0180 0800 0100 0a580002 0c00 1980 0800 0200 01000000"},
		{"an IPv6 server, which the kernel would get wrong", Filter{IPv6: true, Server: netip.MustParseAddrPort("[fd00::2]:0")}, ""},
		{
			"server's port",
			Filter{Protocol: 17, DestPort: 53, Server: netip.MustParseAddrPort("10.88.0.2:5353")},
			"1800 0180 1400 0280 0500 0100 11000000 0600 0300 00350000" +
				"2400 0280 0c00 0180 0800 0100 0a580002 1400 0280 0500 0100 11000000 0600 0200 14e90000" +
				"1400 1980 0800 0100 28000000 0800 0200 19000000",
		},
	}
	for _, tt := range tests {
		if got := hex.EncodeToString(tt.in.attributes()); got != strings.ReplaceAll(tt.want, " ", "") {
			t.Errorf("%s: got  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestMatches(t *testing.T) {
	flow := Flow{Protocol: 17, Dest: netip.MustParseAddrPort("192.0.2.1:53"), Server: netip.MustParseAddrPort("10.88.0.2:53")}
	tests := []struct {
		name string
		in   Filter
		want bool
	}{
		{"all", Filter{}, true},
		{"this", Filter{Protocol: 17, DestPort: 53, Server: netip.MustParseAddrPort("10.88.0.2:0"), Match: func(Flow) bool { return true }}, true},
		{"protocol", Filter{Protocol: 6}, false},
		{"port", Filter{Protocol: 17, DestPort: 54}, false},
		{"server", Filter{Server: netip.MustParseAddrPort("10.88.0.3:0")}, false},
		{"server's port", Filter{Server: netip.MustParseAddrPort("10.88.0.2:54")}, false},
		{"the caller's word is the last", Filter{Match: func(Flow) bool { return false }}, false},
	}
	for _, tt := range tests {
		if got := tt.in.matches(flow); got != tt.want {
			t.Errorf("%s: got %t, want %t", tt.name, got, tt.want)
		}
	}
}
