package attack_test

import (
	"net"
	"net/netip"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// poisons says whether the attacker makes others believe that its MAC address is the
// victim's or the gateway's, by ARP or neighbour discovery.
func poisons(s *Stage, a, v1, v2 *Victim) (by []string) {
	GinkgoHelper()
	t := newTap(a.Space, "eth0")
	for name, claim := range map[string]struct{ v4, v6 netip.Addr }{
		"a sibling": {v1.v4, v1.v6}, "the gateway": {addr(GatewayV4), addr(GatewayV6)},
	} {
		ExpectPing(v2.Space, claim.v4.String(), claim.v6.String()) // now there are entries
		for range 3 {
			t.send(ether(v2.mac, a.mac, typeARP, arp(arpReply, a.mac, claim.v4, v2.mac, v2.v4)))
			t.send(ether(everybody, a.mac, typeARP, arp(arpRequest, a.mac, claim.v4, make([]byte, 6), claim.v4)))
			t.send(ipFrame(v2.mac, a.mac, advert(claim.v6, v2.v6, claim.v6, a.mac)))
			t.send(ipFrame(v2.mac, a.mac, advert(a.v6, v2.v6, claim.v6, a.mac)))
			t.send(ipFrame(groupMAC(allNodes), a.mac, advert(linkLocal(a.mac), allNodes, claim.v6, a.mac)))
			ask := join(u32(0), v2.v6.AsSlice(), option(1, a.mac))
			t.send(ipFrame(v2.mac, a.mac, icmp(claim.v6, v2.v6, neighborSolicit, 0, ask)))
		}
		pause()
		for _, c := range []netip.Addr{claim.v4, claim.v6} {
			if neighbor(v2.Space, "eth0", c) == a.mac.String() {
				by = append(by, name+" "+c.String())
			}
		}
	}
	return by
}

var bound = Conf{"ipspoofchk": true}

var _ = row("T6", "a container takes another's address by ARP or neighbour discovery", func(r *Row) {
	s := reference()
	a, v1, v2 := enter(s, both(s)), enter(s, both(s)), enter(s, both(s))
	r.Works("the reference, all four ways", func() bool { return len(poisons(s, a, v1, v2)) == 4 })
	s = ours()
	a, v1, v2 = enter(s, both(s)), enter(s, both(s)), enter(s, both(s))
	r.Works("without ipspoofchk", func() bool { return len(poisons(s, a, v1, v2)) > 0 })

	s = ours()
	a, v1, v2 = enter(s, both(s).With(bound)), enter(s, both(s)), enter(s, both(s).With(bound))
	r.Fails("ipspoofchk", func() bool { return len(poisons(s, a, v1, v2)) > 0 })
	other := net.HardwareAddr{2, 0, 0, 0, 0, 0x66}
	for name, frame := range map[string][]byte{
		"own address at another MAC address, ARP":      ether(v2.mac, a.mac, typeARP, arp(arpReply, other, a.v4, v2.mac, v2.v4)),
		"own address at another MAC address, NDP":      ipFrame(v2.mac, a.mac, advert(a.v6, v2.v6, a.v6, other)),
		"own address asks from another MAC address":    ipFrame(v2.mac, a.mac, icmp(a.v6, v2.v6, neighborSolicit, 0, join(u32(0), v2.v6.AsSlice(), option(1, other)))),
		"a second option":                              ipFrame(v2.mac, a.mac, icmp(a.v6, v2.v6, neighborAdvert, 0, join(u32(1<<29), a.v6.AsSlice(), option(14, other), option(2, other)))),
		"an advertisement behind a destination option": ipFrame(v2.mac, a.mac, packet(a.v6, v2.v6, 60, join([]byte{protoICMP6, 0, 1, 4, 0, 0, 0, 0}, advert(a.v6, v2.v6, v1.v6, a.mac)[40:]))),
		"is somebody else's address free?":             ipFrame(v2.mac, a.mac, icmp(netip.IPv6Unspecified(), v2.v6, neighborSolicit, 0, join(u32(0), v2.v6.AsSlice()))),
		"ARP about another protocol":                   ether(v2.mac, a.mac, typeARP, join(u16(1), u16(0x88b5), []byte{6, 4}, u16(arpReply), a.mac, a.v4.AsSlice(), v2.mac, v2.v4.AsSlice())),
	} {
		r.Fails("ipspoofchk: "+name, func() bool { return arrives(a, frame, v2.Space, "eth0") })
	}
	ExpectPing(a.Space, v1.v4.String(), v1.v6.String(), v2.v4.String(), v2.v6.String(), GatewayV4, GatewayV6)
	ExpectPing(v1.Space, a.v4.String(), a.v6.String())
})

// lies are packets from addresses that are not the attacker's.
func lies(a, v1, v2 *Victim, host net.HardwareAddr) map[string][]byte {
	ap := netip.AddrPortFrom
	from := func(src, dst netip.Addr) []byte {
		return ipFrame(v2.mac, a.mac, datagram(ap(src, 4000), ap(dst, 5300), nil))
	}
	as := from(v1.v4, v2.v4)
	return map[string][]byte{
		"a sibling's IPv4 address":             as,
		"a sibling's IPv6 address":             from(v1.v6, v2.v6),
		"the gateway's":                        from(addr(GatewayV4), v2.v4),
		"a public one":                         from(addr("192.0.2.66"), v2.v4),
		"a public one, IPv6":                   from(addr("2001:db8:66::66"), v2.v6),
		"a sibling's link-local one":           from(linkLocal(v1.mac), v2.v6),
		"no address, and not to a DHCP server": from(netip.IPv4Unspecified(), v2.v4),
		"a protocol that is not looked into":   ether(v2.mac, a.mac, 0x88b5, as[14:]),
	}
}

var _ = row("T7", "a container sends from an IP address that is not its own", func(r *Row) {
	s := reference()
	a, v1, v2 := enter(s, both(s)), enter(s, both(s)), enter(s, both(s))
	for name, frame := range lies(a, v1, v2, nil) {
		r.Works("the reference: "+name, func() bool { return arrives(a, frame, v2.Space, "eth0") })
	}
	s = ours()
	c := both(s).With(bound).With(Conf{"controlFrames": true}) // it must hold on its own
	a, v1, v2 = enter(s, c), enter(s, c), enter(s, both(s))
	for name, frame := range lies(a, v1, v2, nil) {
		r.Fails("ipspoofchk: "+name, func() bool { return arrives(a, frame, v2.Space, "eth0") })
		if frame[12] == typeIP4>>8 && frame[13] == 0 {
			r.Fails("ipspoofchk: "+name+", in VLAN 0", func() bool { return arrives(a, tagged(frame, typeVLAN, 0), v2.Space, "eth0") })
		}
	}
	host := MAC(s.Host, BridgeName)
	lie := ipFrame(host, a.mac, datagram(v1.at(4000), netip.AddrPortFrom(addr(GatewayV4), 5300), nil))
	r.Fails("ipspoofchk: to the host", func() bool { return arrives(a, lie, s.Host, BridgeName) })
	// What a container must send before it has an address.
	discover := ipFrame(everybody, a.mac, datagram(netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67"), nil))
	for name, frame := range map[string][]byte{
		"DHCP discovery":              discover,
		"ARP probe":                   ether(everybody, a.mac, typeARP, arp(arpRequest, a.mac, netip.IPv4Unspecified(), make([]byte, 6), a.v4)),
		"duplicate address detection": ipFrame(v2.mac, a.mac, icmp(netip.IPv6Unspecified(), v2.v6, neighborSolicit, 0, join(u32(0), a.v6.AsSlice()))),
		"router solicitation":         ipFrame(v2.mac, a.mac, icmp(netip.IPv6Unspecified(), v2.v6, 133, 0, u32(0))),
		"own link-local address":      ipFrame(v2.mac, a.mac, datagram(netip.AddrPortFrom(linkLocal(a.mac), 9), netip.AddrPortFrom(v2.v6, 9), nil)),
	} {
		Expect(arrives(a, frame, v2.Space, "eth0")).To(BeTrue(), name)
	}
	ExpectOK("CHECK", s.Check(a.Box, c, a.result))
	s.Del(a.Box, c, a.result)
	Expect(Elements(s.Host, Frames, "bound")).To(HaveLen(1), "the other port's")
	ear := listen(v2.Space, "0.0.0.0:5300")
	text := mark()
	liar := func(c Conf, remove func(a *Victim)) bool {
		sent := 0
		for range 20 {
			a := enter(s, c)
			sent += lying(a.Space, v2, text, func() { remove(a) })
		}
		Expect(sent).To(BeNumerically(">", 0))
		return ear.hears(string(text))
	}
	del := func(a *Victim) { s.Del(a.Box, c, a.result) }
	r.Fails("ipspoofchk, while DEL is at work", func() bool { return liar(c, del) })
	r.Fails("ipspoofchk, while GC is at work", func() bool { return liar(c, func(*Victim) { s.GC(c, v2.Box) }) })
	held := publish(s, both(s), Portmap(), Port("tcp", 8080, 80))
	r.Fails("ipspoofchk, while ADD fails", func() bool {
		sent := 0 // not in each round: the link is there for a moment
		for range 20 {
			b := s.Container()
			sent += lying(b.Space, v2, text, func() {
				ExpectError(s.Call(b, "ADD", Publishing(c, Port("tcp", 8080, 80))), Conflict, held.ID)
			})
		}
		Expect(sent).To(BeNumerically(">", 0))
		return ear.hears(string(text))
	})
	r.Works("while DEL is at work, without ipspoofchk", func() bool { return liar(both(s), del) })
})

// lying has a space send a lie, and nothing else, while fn runs. It returns how many were sent.
func lying(space *Space, v *Victim, text []byte, fn func()) int {
	GinkgoHelper()
	var fd int
	Inside(space, func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	stop, sent := make(chan struct{}), make(chan int)
	go func() {
		defer unix.Close(fd)
		lie := ipFrame(v.mac, net.HardwareAddr{2, 0, 0, 0, 0, 1}, datagram(netip.MustParseAddrPort("192.0.2.66:4000"), v.at(5300), text))
		for n := 0; ; {
			select {
			case <-stop:
				sent <- n
				return
			default:
				// The container's link is the first that was made here.
				if unix.Sendto(fd, lie, 0, &unix.SockaddrLinklayer{Ifindex: 2}) == nil {
					n++
				}
			}
		}
	}()
	fn()
	close(stop)
	return <-sent
}
