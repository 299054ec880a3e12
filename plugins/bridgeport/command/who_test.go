package command

import (
	"net/netip"
	"testing"
)

func TestParsePort(t *testing.T) {
	host4, host6 := netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("2001:db8::2")
	for word, want := range map[string]hostPort{
		"tcp/8080": {Protocol: "tcp", Number: 8080}, "8080/tcp": {Protocol: "tcp", Number: 8080}, "8080": {Number: 8080},
		"UDP/53": {Protocol: "udp", Number: 53}, "53/Udp": {Protocol: "udp", Number: 53}, "sctp/1": {Protocol: "sctp", Number: 1},
		"tcp/8080→80": {Protocol: "tcp", Number: 8080}, "8080->80/tcp": {Protocol: "tcp", Number: 8080}, "203.0.113.2:53→5353/udp": {Protocol: "udp", Host: host4, Number: 53}, "8080→80/tcp": {Protocol: "tcp", Number: 8080},
		"udp/203.0.113.2:53": {Protocol: "udp", Host: host4, Number: 53}, "203.0.113.2:53/udp": {Protocol: "udp", Host: host4, Number: 53},
		"203.0.113.2:53": {Host: host4, Number: 53}, "tcp/[2001:db8::2]:80→8080": {Protocol: "tcp", Host: host6, Number: 80},
	} {
		if got, is, err := parsePort(word); got != want || !is || err != nil {
			t.Errorf("%s: %+v %v %v", word, got, is, err)
		}
	}
	for _, word := range []string{"web", "default/web", "0a:58:0a:58:00:07", "veth1b753752339", "123456789012", "cafe/80", ""} {
		if got, is, err := parsePort(word); is || err != nil {
			t.Errorf("%s: is no port, but %+v, %v", word, got, err)
		}
	}
	for _, word := range []string{"tcp/0", "0/tcp", "tcp/65536", "99999", "0", "tcp/web", "tcp/"} {
		if got, is, err := parsePort(word); is || err == nil {
			t.Errorf("%s: is %+v, want an error", word, got)
		}
	}
}
