package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"golang.org/x/sys/unix"
)

// NoListeners looks for processes of the host that listen on ports that are to be published: their
// clients would reach the container. With strict such a process is an ErrConflict, else a warning on
// stderr. NoListeners does not look at SCTP.
func NoListeners(ports []hostport.Mapping, strict bool) plan.Step {
	return plan.Step{Name: "no process of the host listens on these ports", Run: func(*plan.Session) error { return noListeners(ports, strict) }}
}

func noListeners(wanted []hostport.Mapping, strict bool) error {
	var found []listener
	for _, proto := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		ports := slices.DeleteFunc(slices.Clone(wanted), func(p hostport.Mapping) bool { return p.Protocol != proto })
		if len(ports) == 0 {
			continue
		}
		list, err := listenersOf(proto, ports)
		if err != nil {
			return fmt.Errorf("hostPortCheck: list sockets: %w", err)
		}
		found = append(found, list...)
	}
	if len(found) == 0 {
		return nil
	}
	// One listener is enough for an error.
	text := fmt.Sprintf("%s: a process of the host listens on %s (user %d): its clients would reach the container instead; `ss -lnp 'sport = :%d'` names it",
		found[0].name(), found[0].addr, found[0].uid, found[0].addr.Port())
	if strict {
		return fmt.Errorf("%s: stop it, choose another port, or set \"hostPortCheck\": \"warn\": %w", text, plan.ErrConflict)
	}
	fmt.Fprintf(os.Stderr, "portmap: warning: %s\n", text)
	return nil
}

// listener is a socket that waits for clients.
type listener struct {
	proto uint8
	addr  netip.AddrPort
	both  bool // an IPv6 socket that takes clients of IPv4, too
	uid   uint32
}

func (l listener) name() string {
	return "hostPort " + hostport.Text(hostport.ProtocolName(l.proto), netip.Addr{}, l.addr.Port())
}

// Of linux/inet_diag.h and net/tcp_states.h.
const (
	diagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	diagV6Only   = 11 // INET_DIAG_SKV6ONLY
	diagSize     = 72 // struct inet_diag_msg
	stateClose   = 7  // TCP_CLOSE: a socket of UDP that is not connected
	stateListen  = 10
)

// listenersOf lists the sockets of a protocol that one of the ports would hide.
func listenersOf(proto uint8, ports []hostport.Mapping) ([]listener, error) {
	c, err := netlink.DialProtocol(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	state := stateListen
	if proto == unix.IPPROTO_UDP {
		state = stateClose
	}
	one := uint16(0) // the kernel's filter knows one port
	if len(ports) == 1 && ports[0].Count() == 1 {
		one = ports[0].HostPort
	}
	var found []listener
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		req := netlink.Request(diagByFamily, 0, diagRequest{family, proto, 1 << state, one})
		var list []listener
		err := c.Dump(req, func() { list = nil }, func(data []byte) error {
			if s, ok := parseListener(proto, data); ok && s.hidden(ports) {
				list = append(list, s)
			}
			return nil
		})
		if errors.Is(err, unix.ENOENT) { // the kernel lacks the module for the answer
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	return found, nil
}

// diagRequest is struct inet_diag_req_v2.
type diagRequest struct {
	family, proto uint8
	states        uint32
	port          uint16 // 0: all
}

func (d diagRequest) Len() int { return 56 }

func (d diagRequest) Serialize() []byte {
	b := make([]byte, d.Len())
	b[0], b[1] = d.family, d.proto
	binary.NativeEndian.PutUint32(b[4:], d.states)
	binary.BigEndian.PutUint16(b[8:], d.port)
	return b
}

// parseListener reads struct inet_diag_msg; false for a connected socket.
func parseListener(proto uint8, data []byte) (listener, bool) {
	if len(data) < diagSize {
		return listener{}, false
	}
	raw := data[8:24]
	if data[0] == unix.AF_INET {
		raw = raw[:4]
	}
	addr, _ := netip.AddrFromSlice(raw) // of 4 or 16 bytes
	v6Only := netlink.Nested(data[diagSize:], diagV6Only)
	return listener{
		proto: proto, addr: netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(data[4:])),
		both: data[0] == unix.AF_INET6 && len(v6Only) > 0 && v6Only[0] == 0 && addr.IsUnspecified(),
		uid:  binary.NativeEndian.Uint32(data[64:]),
	}, binary.BigEndian.Uint16(data[6:]) == 0
}

// hidden says whether one of the ports takes clients from the socket.
func (s listener) hidden(ports []hostport.Mapping) bool {
	for _, p := range ports {
		if !p.Holds(s.addr.Port()) {
			continue
		}
		is4 := p.Container.Addr().Is4()
		if s.addr.Addr().Is4() != is4 && !(s.both && is4) {
			continue
		}
		if p.Any() || s.addr.Addr().IsUnspecified() || s.addr.Addr() == p.HostIP {
			return true
		}
	}
	return false
}
