// Package hostport is a published port: configurations say it, both backends make rules of it.
//
//	m := hostport.Mapping{Protocol: 6, HostPort: 8080, Container: netip.MustParseAddrPort("10.88.0.2:80")}
//	fmt.Println(m) // 8080/tcp
package hostport

import (
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Mapping is one published port, or several in a row, with everything parsed and valid.
type Mapping struct {
	HostIP   netip.Addr // invalid or unspecified: every address of the host
	Protocol uint8      // IP protocol number
	HostPort uint16
	// Container is the container's address and first port. The address is invalid until it is known.
	Container netip.AddrPort
	// Range is how many ports there are, from HostPort and the container's on; 0 is 1.
	Range uint16
	Allow *Allow // nil: every client
}

// Allow is the clients that may use a port, of both families.
type Allow struct{ From []netip.Prefix }

// Equal says whether the same clients may; nil is everybody.
func (a *Allow) Equal(b *Allow) bool {
	return a == b || a != nil && b != nil && slices.Equal(a.From, b.From)
}

// Count is how many ports there are, at least 1.
func (m Mapping) Count() int { return max(int(m.Range), 1) }

// Each is the ports one by one.
func (m Mapping) Each(fn func(hostPort uint16, to netip.AddrPort)) {
	for i := range m.Count() {
		fn(m.HostPort+uint16(i), netip.AddrPortFrom(m.Container.Addr(), m.Container.Port()+uint16(i)))
	}
}

// Holds says whether a port of the host is one of them.
func (m Mapping) Holds(hostPort uint16) bool {
	return hostPort >= m.HostPort && int(hostPort)-int(m.HostPort) < m.Count()
}

// Any says whether the ports are for every address of the host.
func (m Mapping) Any() bool { return !m.HostIP.IsValid() || m.HostIP.IsUnspecified() }

// String is the ports of the host for people: 8080/tcp, 8080-8089/tcp.
func (m Mapping) String() string {
	last := Text(ProtocolName(m.Protocol), netip.Addr{}, m.Last())
	if m.Count() == 1 {
		return last
	}
	return fmt.Sprintf("%d-%s", m.HostPort, last)
}

// Text is a port for people, in the one notation of messages and commands: 8080/tcp,
// 192.0.2.1:53/udp, [2001:db8::1]:53/udp. The address is invalid for every address of the host.
func Text(protocol string, host netip.Addr, port uint16) string {
	if host.IsValid() {
		return netip.AddrPortFrom(host, port).String() + "/" + protocol
	}
	return fmt.Sprintf("%d/%s", port, protocol)
}

// Last is the last port of the host.
func (m Mapping) Last() uint16 { return m.HostPort + uint16(m.Count()-1) }

// Protocols that a port mapping may name, with their IP protocol numbers.
var protocols = []struct {
	name   string
	number uint8
}{{"tcp", unix.IPPROTO_TCP}, {"udp", unix.IPPROTO_UDP}, {"sctp", unix.IPPROTO_SCTP}}

// Protocol is the number of "tcp", "udp" or "sctp"; false for everything else.
func Protocol(name string) (uint8, bool) {
	for _, p := range protocols {
		if p.name == name {
			return p.number, true
		}
	}
	return 0, false
}

// ProtocolName is the opposite of Protocol; the number where it has no name.
func ProtocolName(number uint8) string {
	for _, p := range protocols {
		if p.number == number {
			return p.name
		}
	}
	return fmt.Sprint(number)
}
