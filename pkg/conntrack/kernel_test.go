package conntrack

import (
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// TestForget: the kernel forgets the same flows where it applies the filters by itself, where it
// lists flows for one filter, and where this process compares all of them.
func TestForget(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	known := []string{ // protocol, port of the host, server
		"udp 53 10.88.0.2:5353", "udp 53 10.88.0.3:5353", "udp 53 10.88.0.2:5454", "udp 54 10.88.0.2:5353",
		"tcp 53 10.88.0.2:5353", "udp 53 [fd00::2]:5353", "udp 53 [fd00::3]:5353",
	}
	server := netip.MustParseAddrPort
	always := func(Flow) bool { return true }
	var many []Filter
	for port := range uint16(maxFlush) {
		many = append(many, Filter{Protocol: unix.IPPROTO_UDP, DestPort: 1000 + port, Server: server("10.88.0.2:5353")})
	}
	exact := Filter{Protocol: unix.IPPROTO_UDP, DestPort: 53, Server: server("10.88.0.2:5353")}
	tests := []struct {
		name    string
		filters []Filter
		gone    []int
	}{
		{"exactly one", []Filter{exact}, []int{0}},
		{"two", []Filter{exact, {Protocol: unix.IPPROTO_TCP, DestPort: 53, Server: server("10.88.0.2:5353")}}, []int{0, 4}},
		{"IPv6", []Filter{{IPv6: true, Protocol: unix.IPPROTO_UDP, DestPort: 53, Server: server("[fd00::2]:5353")}}, []int{5}},
		{"all of a server, IPv6", []Filter{{IPv6: true, Server: server("[fd00::2]:0")}}, []int{5}},
		{"all, IPv6", []Filter{{IPv6: true}}, []int{5, 6}},
		{"a port of any server", []Filter{{Protocol: unix.IPPROTO_UDP, DestPort: 53}}, []int{0, 1, 2}},
		{"all of a server's ports", []Filter{{Protocol: unix.IPPROTO_UDP, DestPort: 53, Server: server("10.88.0.2:0")}}, []int{0, 2}},
		{"all of a server", []Filter{{Server: server("10.88.0.2:0")}}, []int{0, 2, 3, 4}},
		{"one, and the caller agrees", []Filter{{Protocol: unix.IPPROTO_UDP, DestPort: 54, Server: server("10.88.0.2:5353"), Match: always}}, []int{3}},
		{"more than the kernel is asked to walk for", append(many, exact), []int{0}},
		{"nobody's", []Filter{{Protocol: unix.IPPROTO_UDP, DestPort: 55, Server: server("10.88.0.2:5353")}}, nil},
	}
	s := stage.OpenSpace(t, "forget")
	stage.Inside(s, func() error {
		c, err := netlink.DialProtocol(unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer c.Close()
		for _, tt := range tests {
			for _, text := range known {
				if err := track(c, text); err != nil {
					t.Errorf("%s: track %s: %v", tt.name, text, err)
				}
			}
			if err := Forget(c, tt.filters...); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			for i, text := range known {
				if _, found := find(t, c, text); found == slices.Contains(tt.gone, i) {
					t.Errorf("%s: %s is there: %t", tt.name, text, found)
				}
			}
		}
		return nil
	})
}

// track makes a flow of a client to a port of the host that a server answers.
func track(c *netlink.Conn, text string) error {
	out := slices.Concat(tuples(text), attr(7, 0, 0, 1, 0)) // CTA_TIMEOUT: 256 seconds
	m := netlink.Netfilter{Type: unix.NFNL_SUBSYS_CTNETLINK << 8, Flags: unix.NLM_F_ACK | unix.NLM_F_CREATE, Family: family(text), Attrs: out}
	return c.AskAll(1, func(int) netlink.Netfilter { return m }, func(int, []byte) error { return nil })
}

// find lists all flows and looks for the one that track made.
func find(t *testing.T, c *netlink.Conn, text string) (flow Flow, found bool) {
	t.Helper()
	want, _ := parse(tuples(text))
	flows, err := list(c, Filter{IPv6: family(text) == unix.AF_INET6})
	if err != nil {
		t.Error(err)
	}
	for _, f := range flows {
		if f.Protocol == want.Protocol && f.Dest == want.Dest && f.Server == want.Server {
			return f, true
		}
	}
	return flow, false
}

func family(text string) uint8 {
	if strings.Contains(text, "[") {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// tuples are both directions. The client's port tells the flows apart.
func tuples(text string) []byte {
	words := strings.Fields(text)
	number := byte(unix.IPPROTO_UDP)
	if words[0] == "tcp" {
		number = unix.IPPROTO_TCP
	}
	port, _ := strconv.Atoi(words[1])
	server := netip.MustParseAddrPort(words[2])
	client, host := "192.0.2.9", "192.0.2.1"
	if server.Addr().Is6() {
		client, host = "2001:db8::9", "2001:db8::1"
	}
	bytes := func(port uint16) string { return string(binary.BigEndian.AppendUint16(nil, port)) }
	address := server.Addr().AsSlice()
	from := server.Port() + uint16(port) + 1000*uint16(address[len(address)-1])
	return slices.Concat(
		nest(tupleOrig, ip(client, host), proto(number, bytes(from), bytes(uint16(port)))),
		nest(tupleReply, ip(server.Addr().String(), client), proto(number, bytes(server.Port()), bytes(from))),
	)
}
