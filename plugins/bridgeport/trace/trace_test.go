package trace

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"golang.org/x/sys/unix"
)

// Ports of one number have lists of their own, by protocol and by address of the host.
func TestAdmittedByTheListOfThePort(t *testing.T) {
	client, host := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("203.0.113.2")
	to := netip.MustParseAddrPort("10.60.0.2:53")
	mine, other := []netip.Prefix{netip.PrefixFrom(client, 32)}, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	a := &attachment.Attachment{Addresses: []netip.Addr{to.Addr()}, Ports: []attachment.Port{
		{Protocol: "tcp", HostPort: 53, Container: to, AllowFrom: other},
		{Protocol: "udp", HostPort: 53, Container: to, AllowFrom: mine},
		{Protocol: "udp", HostPort: 53, HostIP: host, Container: to, AllowFrom: other},
	}}
	for _, tt := range []struct {
		protocol string
		number   uint8
		at       netip.Addr
		admitted bool
	}{
		{"tcp", unix.IPPROTO_TCP, netip.Addr{}, false},
		{"udp", unix.IPPROTO_UDP, netip.Addr{}, true},
		{"udp", unix.IPPROTO_UDP, host, false},
	} {
		tracer := &Tracer{List: []*attachment.Attachment{a}}
		p := Packet{From: netip.AddrPortFrom(client, 1), To: netip.AddrPortFrom(host, 53), Protocol: tt.protocol}
		if got := tracer.admitted(p, nft.HostPort(tt.at, tt.number, 53, to, ""), "gate"); got != tt.admitted || tracer.hops[0].Doubt {
			t.Errorf("%s at %v: admitted %v, want %v: %+v", tt.protocol, tt.at, got, tt.admitted, tracer.hops)
		}
	}
	tracer := &Tracer{List: []*attachment.Attachment{a}}
	p := Packet{From: netip.AddrPortFrom(client, 1), To: netip.AddrPortFrom(host, 53), Protocol: "sctp"}
	if !tracer.admitted(p, nft.HostPort(netip.Addr{}, unix.IPPROTO_SCTP, 53, to, ""), "gate") || !strings.Contains(tracer.hops[0].Says, "not judged") {
		t.Errorf("no list is of sctp: %+v", tracer.hops)
	}
}
