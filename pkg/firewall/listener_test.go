package firewall

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
)

// TestListeners: which sockets of the host a published port hides.
func TestListeners(t *testing.T) {
	port := func(proto uint8, host, to string, n uint16) hostport.Mapping {
		p := hostport.Mapping{Protocol: proto, HostPort: 8080, Range: n, Container: netip.MustParseAddrPort(to)}
		if host != "" {
			p.HostIP = netip.MustParseAddr(host)
		}
		return p
	}
	const four, six = "10.88.0.2:80", "[fd00::2]:80"
	tests := []struct {
		network, listen string
		port            hostport.Mapping
		want            bool
	}{
		{"tcp4", "0.0.0.0:8080", port(6, "", four, 0), true},
		{"tcp4", "127.0.0.1:8080", port(6, "", four, 0), true},
		{"tcp4", "127.0.0.1:8080", port(6, "0.0.0.0", four, 0), true},
		{"tcp4", "127.0.0.1:8080", port(6, "127.0.0.1", four, 0), true},
		{"tcp4", "127.0.0.1:8080", port(6, "127.0.0.2", four, 0), false},
		{"tcp4", "0.0.0.0:8080", port(6, "127.0.0.2", four, 0), true},
		{"tcp4", "0.0.0.0:8080", port(6, "", six, 0), false},
		{"tcp4", "0.0.0.0:8081", port(6, "", four, 0), false},
		{"tcp4", "0.0.0.0:8081", port(6, "", four, 2), true},
		{"tcp4", "0.0.0.0:8082", port(6, "", four, 2), false},
		{"tcp4", "0.0.0.0:8080", port(17, "", four, 0), false},
		{"tcp", "[::]:8080", port(6, "", four, 0), true}, // both families
		{"tcp", "[::]:8080", port(6, "", six, 0), true},
		{"tcp6", "[::]:8080", port(6, "", four, 0), false}, // IPV6_V6ONLY
		{"tcp6", "[::1]:8080", port(6, "::1", six, 0), true},
		{"tcp6", "[::1]:8080", port(6, "", four, 0), false},
		{"udp4", "0.0.0.0:8080", port(17, "", four, 0), true},
		{"udp6", "[::1]:8080", port(17, "", six, 0), true},
		{"udp4", "0.0.0.0:8080", port(6, "", four, 0), false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s, %d %s to %s", tt.network, tt.listen, tt.port.Protocol, tt.port.HostIP, tt.port.Container), func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				up(w)
				var server interface{ Close() error }
				var err error
				if strings.HasPrefix(tt.network, "tcp") {
					server, err = net.Listen(tt.network, tt.listen)
				} else {
					server, err = net.ListenPacket(tt.network, tt.listen)
				}
				w.Must(err)
				defer server.Close()
				for _, strict := range []bool{false, true} {
					err := NoListeners([]hostport.Mapping{tt.port}, strict).Add(w.Session)
					if got := errors.Is(err, plan.ErrConflict); got != (tt.want && strict) {
						t.Errorf("strict %t: got %v", strict, err)
					}
					if err != nil && !strings.Contains(err.Error(), "a process of the host listens on "+tt.listen+" (user 0)") {
						t.Errorf("got %v", err)
					}
				}
			})
		})
	}
}

// TestListenersConnected: a socket of UDP that has a peer waits for nobody else.
func TestListenersConnected(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		up(w)
		c, err := net.DialUDP("udp4", &net.UDPAddr{Port: 8080}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
		w.Must(err)
		defer c.Close()
		w.Must(NoListeners([]hostport.Mapping{{Protocol: 17, HostPort: 8080, Container: netip.MustParseAddrPort("10.88.0.2:80")}}, true).Add(w.Session))
	})
}

func up(w world.World) {
	w.Helper()
	w.Must(netlink.LinkSetUp(w.Link("lo")))
}
