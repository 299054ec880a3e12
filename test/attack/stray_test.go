package attack_test

import (
	"fmt"
	"net"
	"net/netip"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// A TCP packet that connection tracking can't place is translated by nobody.
var _ = row("T27", "a packet of no connection leaves with the container's own address, or gets to a container", func(r *Row) {
	port := 20000 // each packet's own: the kernel remembers
	strays := map[string]byte{"RST": tcpRST, "FIN": tcpFIN | tcpACK, "SYN and ACK": tcpSYN | tcpACK}
	// passes says whether a stray packet from one address to the other comes out at a link.
	passes := func(flags byte, from, to netip.Addr, in tap, dst, src net.HardwareAddr, out tap) bool {
		GinkgoHelper()
		port++
		text := mark()
		in.send(ipFrame(dst, src, segment(netip.AddrPortFrom(from, uint16(port)), netip.AddrPortFrom(to, 80), flags, 1, text)))
		return out.hears(Haste, text, from.AsSlice())
	}
	// each says whether every kind of stray packet passes, of both families, or where want is false whether any does.
	each := func(want bool, pass func(flags byte, six bool) bool) bool {
		for kind, flags := range strays {
			for _, six := range []bool{false, true} {
				if pass(flags, six) != want {
					By(fmt.Sprintf("%s, IPv6 %t: passes %t", kind, six, !want))
					return !want
				}
			}
		}
		return want
	}
	leaving := func(s *Stage, a *Victim, gateway string) func(byte, bool) bool {
		return func(flags byte, six bool) bool {
			from, to := a.v4, addr(OutsideV4)
			if six {
				from, to = a.v6, addr(OutsideV6)
			}
			return passes(flags, from, to, newTap(a.Space, "eth0"), MAC(s.Host, gateway), a.mac, newTap(s.Outside, "eth0"))
		}
	}
	coming := func(s *Stage, a *Victim) func(byte, bool) bool {
		return func(flags byte, six bool) bool {
			from, to := addr(OutsideV4), a.v4
			if six {
				from, to = addr(OutsideV6), a.v6
			}
			return passes(flags, from, to, newTap(s.Outside, "eth0"), MAC(s.Host, "uplink"), MAC(s.Outside, "eth0"), newTap(a.Space, "eth0"))
		}
	}
	enter := func(s *Stage, c Conf) *Victim {
		GinkgoHelper()
		a := enter(s, c)
		ExpectPing(a.Space, OutsideV4, OutsideV6) // all neighbours are known
		return a
	}
	s := reference()
	a := enter(s, both(s))
	r.Works("the reference, on the way out", func() bool { return each(true, leaving(s, a, BridgeName)) })
	r.Works("the reference, on the way in", func() bool { return each(true, coming(s, a)) })

	s = ours()
	a = enter(s, both(s))
	r.Fails("a rule, on the way out", func() bool { return each(false, leaving(s, a, BridgeName)) })
	r.Fails("a rule, on the way in", func() bool { return each(false, coming(s, a)) })
	disarm(s.Host, NAT, "forward")
	r.Works("without the rule", func() bool { return each(true, leaving(s, a, BridgeName)) })
	ExpectError(s.Check(a.Box, both(s), a.result), Drift, "chain inet bridgeport forward")

	s = ours()
	a = enter(s, both(s))
	Change(s.Host, BridgeName, func(l netlink.Link) error { return netlink.LinkSetGroup(l, 0) })
	r.Works("a bridge that lost its group, or was made by an earlier release", func() bool { return each(true, leaving(s, a, BridgeName)) })
	ExpectError(s.Check(a.Box, both(s), a.result), Drift, "group is 0")
	enter(s, both(s))
	r.Fails("the next ADD gives it back", func() bool { return each(false, leaving(s, a, BridgeName)) })

	if s.HasVlans() {
		s = ours()
		a = enter(s, both(s).With(Conf{"vlan": 100}))
		r.Fails("the gateway of a VLAN", func() bool { return each(false, leaving(s, a, BridgeName+".100")) })
	}
	s = ours()
	Program(s.Host, "", "ip", "link", "add", "own0", "type", "bridge")
	a = enter(s, both(s).With(Conf{"bridge": "own0"}))
	r.Works("a bridge that somebody else made: its ports may have other ways out", func() bool { return each(true, leaving(s, a, "own0")) })
	Expect(Link(s.Host, "own0").Attrs().Group).To(BeZero())
})
