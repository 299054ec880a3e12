package attack_test

import (
	"encoding/binary"
	"net"
	"net/netip"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// flood sends frames from as many MAC addresses.
func flood(a *Victim, n int) {
	GinkgoHelper()
	t := newTap(a.Space, "eth0")
	for i := range n {
		from := binary.BigEndian.AppendUint32(net.HardwareAddr{2, 0xaa}, uint32(i))
		t.send(ether(everybody, from, 0x88b5, nil))
	}
	pause()
}

// overhears says whether an attacker that claims a victim's MAC address gets what
// somebody else sends to it.
func overhears(a, from, to *Victim) bool {
	GinkgoHelper()
	ear, mouth, text := newTap(a.Space, "eth0"), newTap(from.Space, "eth0"), mark()
	for range 10 { // the victim's own frames bring its address back
		ear.send(ether(everybody, to.mac, 0x88b5, nil)) // "I am the victim"
		mouth.send(ipFrame(to.mac, from.mac, datagram(from.at(9), to.at(9), text)))
		if ear.hears(Haste/3, text) {
			return true
		}
	}
	return false
}

var _ = row("T8", "many MAC addresses fill the bridge's table, or a stolen one draws another's frames", func(r *Row) {
	const many = 3000
	s := reference()
	a, v1, v2 := enter(s, both(s)), enter(s, both(s)), enter(s, both(s))
	r.Works("the reference: a flood", func() bool { flood(a, many); return learned(s.Host) >= many })
	r.Works("the reference: another's MAC address", func() bool { return overhears(a, v1, v2) })

	s = ours()
	a, v1, v2 = enter(s, both(s)), enter(s, both(s)), enter(s, both(s))
	r.Fails("ports that do not learn: a flood", func() bool { flood(a, many); return learned(s.Host) > 0 })
	r.Fails("ports that do not learn: another's MAC address", func() bool { return overhears(a, v1, v2) })
	ExpectPing(v1.Space, v2.v4.String(), v2.v6.String(), GatewayV4, GatewayV6)
	r.Fails("a MAC address that another container has", func() bool {
		b := s.Container()
		answer := s.Call(b, "ADD", both(s).With(Conf{"runtimeConfig": Conf{"mac": v2.mac.String()}}))
		if answer.Exit != 0 {
			ExpectError(answer, Conflict, v2.mac.String(), BridgeName)
		}
		return answer.Exit == 0
	})
})

// control are frames that only switches, routers and DHCP servers send.
func control(a, v *Victim) map[string][]byte {
	ap := netip.MustParseAddrPort
	group := func(last byte) net.HardwareAddr { return net.HardwareAddr{1, 0x80, 0xc2, 0, 0, last} }
	bpdu := join(u16(38), []byte{0x42, 0x42, 3, 0, 0, 0, 0, 0}, make([]byte, 31))
	snap := join(u16(50), []byte{0xaa, 0xaa, 3, 0, 0, 0x0c, 1, 0x0b}, make([]byte, 42))
	plain := ipFrame(v.mac, a.mac, datagram(a.at(9), v.at(9), nil))
	return map[string][]byte{
		"spanning tree (STP)":        join(group(0), a.mac, bpdu),
		"spanning tree of Cisco":     join(net.HardwareAddr{1, 0, 0x0c, 0xcc, 0xcc, 0xcd}, a.mac, snap),
		"a VLAN tag":                 tagged(plain, typeVLAN, 100),
		"a VLAN tag, broadcast":      tagged(ether(everybody, a.mac, 0x88b5, nil), typeVLAN, 100),
		"a tag of VLAN 0":            tagged(plain, typeVLAN, 0),
		"two VLAN tags":              tagged(tagged(plain, typeVLAN, 200), typeVLAN, 1),
		"a provider's VLAN tag":      tagged(plain, typeQinQ, 100),
		"an answer of a DHCP server": ipFrame(v.mac, a.mac, datagram(netip.AddrPortFrom(a.v4, 67), ap("255.255.255.255:68"), nil)),
		"an answer of DHCPv6":        ipFrame(v.mac, a.mac, datagram(netip.AddrPortFrom(a.v6, 547), netip.AddrPortFrom(v.v6, 546), nil)),
		"a router advertisement":     ipFrame(v.mac, a.mac, routerAdvertisement(linkLocal(a.mac), a.mac, netip.MustParsePrefix("2001:db8:bad::/64"))),
		"the same, behind an option": ipFrame(v.mac, a.mac, hidden(a)),
		"an IPv4 redirect":           ipFrame(v.mac, a.mac, icmp(addr(GatewayV4), v.v4, 5, 1, make([]byte, 32))),
	}
}

// hidden is a router advertisement behind a destination option, which simple filters
// do not look behind (RFC 7113).
func hidden(a *Victim) []byte {
	whole := routerAdvertisement(linkLocal(a.mac), a.mac, netip.MustParsePrefix("2001:db8:bad::/64"))
	options := []byte{protoICMP6, 0, 1, 4, 0, 0, 0, 0}
	return packet(linkLocal(a.mac), allNodes, 60, join(options, whole[40:]))
}

var _ = row("T9", "a container plays the switch, the VLAN trunk or the DHCP server", func(r *Row) {
	s := reference()
	a, v := enter(s, both(s)), enter(s, both(s))
	for name, frame := range control(a, v) {
		r.Works("the reference: "+name, func() bool { return arrives(a, frame, v.Space, "eth0") })
	}
	s = ours()
	a, v = enter(s, both(s)), enter(s, both(s))
	for name, frame := range control(a, v) {
		r.Fails("the default: "+name, func() bool { return arrives(a, frame, v.Space, "eth0") })
	}
	s = ours()
	a, v = enter(s, both(s).With(Conf{"controlFrames": true})), enter(s, both(s))
	for name, frame := range control(a, v) {
		r.Works("controlFrames: "+name, func() bool { return arrives(a, frame, v.Space, "eth0") })
	}
	Expect(Elements(s.Host, Frames, "guarded")).To(BeEmpty(), "the default needs no entry for each port")
})
