package attack_test

import (
	"net/netip"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// scene is a container that wants out, and all whom it could reach.
type scene struct {
	*Stage
	a, sibling, other *Victim // other is on another bridge
	host, out         *inbox
}

// other is another network, with its own bridge.
func other(s *Stage, more Conf) Conf {
	return both(s).With(Conf{"name": "other", "bridge": "other0", "ipam": s.IPAM("10.61.0.0/24", "fd61::/64")}).With(more)
}

func staged(s *Stage, more Conf) *scene {
	GinkgoHelper()
	sc := &scene{Stage: s, a: enter(s, both(s).With(more)), sibling: enter(s, both(s)), other: enter(s, other(s, nil))}
	for _, space := range []*Space{s.Outside, s.Host, sc.sibling.Space, sc.other.Space} {
		Serve(space, "tcp", 80)
		Serve(space, "udp", 80)
	}
	sc.host, sc.out = listen(s.Host, "[::]:5300"), listen(s.Outside, "[::]:5300")
	return sc
}

// hears sends a frame from a to the host's link and says whether a service hears the text in it.
func (sc *scene) hears(box *inbox, make func(text []byte) []byte) bool {
	GinkgoHelper()
	text := mark()
	newTap(sc.a.Space, "eth0").send(ipFrame(MAC(sc.Host, BridgeName), sc.a.mac, make(text)))
	return box.hears(string(text))
}

// leaves sends a packet to the host's link and says whether it comes out on the wire, or, with to,
// sends it to a sibling's link and says whether it gets there.
func (sc *scene) leaves(to *Victim, make func(text []byte) []byte) bool {
	GinkgoHelper()
	text, mac, ear := mark(), MAC(sc.Host, BridgeName), newTap(sc.Outside, "eth0")
	if to != nil {
		mac, ear = to.mac, newTap(to.Space, "eth0")
	}
	newTap(sc.a.Space, "eth0").send(ipFrame(mac, sc.a.mac, make(text)))
	return ear.hears(Haste, text)
}

// ways are what a container may try to reach somebody.
func (sc *scene) ways() map[string]func() bool {
	ap := netip.AddrPortFrom
	a, out4, out6 := sc.a, addr(OutsideV4), addr(OutsideV6)
	from4, from6 := ap(a.v4, 4000), ap(a.v6, 4000)
	list := map[string]func() bool{
		"a mapped address": func() bool { return asks(a.Space, "::ffff:"+OutsideV4, "80") },
		"a segment of a connection that nobody opened": func() bool {
			return sc.leaves(nil, func(text []byte) []byte { return segment(from4, ap(out4, 80), tcpACK, 7, text) })
		},
		"the same, IPv6": func() bool {
			return sc.leaves(nil, func(text []byte) []byte { return segment(from6, ap(out6, 80), tcpACK, 7, text) })
		},
		"the first fragment, and the second": func() bool {
			return sc.hears(sc.out, func(text []byte) []byte {
				whole := datagram(ap(a.v4, 4001), ap(out4, 5300), join(make([]byte, 16), text))
				first, second := fragment(whole, 0, 24), fragment(whole, 24, len(whole)-20)
				newTap(a.Space, "eth0").send(ipFrame(MAC(sc.Host, BridgeName), a.mac, first))
				return second
			})
		},
		"UDP behind a destination option": func() bool {
			return sc.hears(sc.out, func(text []byte) []byte {
				return packet(a.v6, out6, 60, join([]byte{protoUDP, 0, 1, 4, 0, 0, 0, 0}, datagram(from6, ap(out6, 5300), text)[40:]))
			})
		},
		"from the link-local address to the host": func() bool {
			return sc.hears(sc.host, func(text []byte) []byte {
				return datagram(ap(linkLocal(a.mac), 4000), ap(addr(GatewayV6), 5300), text)
			})
		},
		"an echo request": func() bool {
			_, err := a.Ping(OutsideV4, Haste)
			return err == nil
		},
		"UDP to a sibling": func() bool {
			return sc.leaves(sc.sibling, func(text []byte) []byte { return datagram(from4, sc.sibling.at(5300), text) })
		},
		"multicast to siblings": func() bool {
			text, ear := mark(), newTap(sc.sibling.Space, "eth0")
			group := addr("ff02::fb")
			newTap(a.Space, "eth0").send(ipFrame(groupMAC(group), a.mac, datagram(from6, ap(group, 5353), text)))
			return ear.hears(Haste, text)
		},
	}
	list["from the link-local address to another address of the host"] = func() bool {
		return sc.hears(sc.host, func(text []byte) []byte { return datagram(ap(linkLocal(a.mac), 4000), ap(addr(HostV6), 5300), text) })
	}
	list["by a neighbour's hardware address"] = func() bool {
		return sc.leaves(sc.sibling, func(text []byte) []byte { return segment(from4, ap(out4, 80), tcpACK, 7, text) })
	}
	for name, kind := range map[string]byte{"a router solicitation": 133, "a neighbour solicitation": neighborSolicit, "a listener report": 143} {
		list[name+" that is data"] = func() bool {
			return sc.leaves(nil, func(text []byte) []byte { return icmp(a.v6, out6, kind, 0, join(u32(0), text)) })
		}
	}
	list["an error about somebody else's connection"] = func() bool {
		port := sc.connected()
		return sc.leaves(nil, func(text []byte) []byte {
			quoted := datagram(netip.MustParseAddrPort(OutsideV4+":4444"), ap(addr(HostV4), port), nil)
			return icmp(a.v4, out4, 3, 1, join(u32(0), quoted[:28], text))
		})
	}
	for name, to := range map[string][2]string{
		"outside": {OutsideV4, OutsideV6}, "the host": {GatewayV4, GatewayV6}, "the host's other address": {HostV4, HostV6},
		"a sibling": {sc.sibling.v4.String(), sc.sibling.v6.String()}, "another network": {sc.other.v4.String(), sc.other.v6.String()},
	} {
		for _, at := range to {
			list["TCP to "+name+", "+at] = func() bool { return asks(a.Space, at, "80") }
			list["UDP to "+name+", "+at] = func() bool { return sc.asksUDP(at) }
		}
	}
	return list
}

// connected makes the outside ask a UDP service of the host, from port 4444, and tells the service's port.
func (sc *scene) connected() uint16 {
	GinkgoHelper()
	text := mark()
	newTap(sc.Outside, "eth0").send(ipFrame(MAC(sc.Host, "uplink"), MAC(sc.Outside, "eth0"),
		datagram(netip.MustParseAddrPort(OutsideV4+":4444"), netip.MustParseAddrPort(HostV4+":5300"), text)))
	Expect(sc.host.hears(string(text))).To(BeTrue())
	return 5300
}

func (sc *scene) asksUDP(host string) bool {
	return Reaches(sc.a.Space, "udp", host, "80")
}

// fragment is the bytes from one to another of an IPv4 packet's payload, as a packet.
func fragment(whole []byte, from, to int) []byte {
	head := join(whole[:20])
	copy(head[2:], u16(20+to-from))
	more := 0
	if to < len(whole)-20 {
		more = 1 << 13
	}
	copy(head[6:], u16(more|from/8))
	head[10], head[11] = 0, 0
	copy(head[10:], sum(head))
	return append(head, whole[20+from:20+to]...)
}

var nowhere = Conf{"egress": Conf{"default": "deny"}}

var _ = row("T28", "a container reaches what its network forbids it to reach", func(r *Row) {
	sc := staged(ours(), nil)
	for name, way := range sc.ways() {
		r.Works("without egress: "+name, way)
	}
	sc = staged(ours(), nowhere)
	for name, way := range sc.ways() {
		r.Fails("egress: "+name, way)
	}
	ExpectOK("CHECK", sc.Check(sc.a.Box, both(sc.Stage).With(nowhere), sc.a.result))

	// The host's rules see bridged frames, too; what is denied by a list alone; another network's rules.
	if s := ours(); HasBridgeNetfilter(s) {
		s.BridgeNetfilter("1")
		sc = staged(s, nowhere)
		for name, way := range sc.ways() {
			r.Fails("egress, with br_netfilter: "+name, way)
		}
	}
	s := ours()
	sc = staged(s, Conf{"egress": Conf{"default": "allow", "deny": []Conf{
		{"to": "203.0.113.0/24"}, {"to": "2001:db8:f::/48"}, {"to": "private"}, {"to": "ff00::/8"},
	}}})
	for name, way := range sc.ways() {
		r.Fails("a list of what is denied: "+name, way)
	}
	ExpectPing(sc.a.Space, FarV4, FarV6)
	open := enter(s, other(s, Conf{"egress": Conf{"default": "allow"}}))
	Expect(asks(open.Space, OutsideV4, "80")).To(BeTrue(), "another network's rules")
	r.Fails("another network, which may send anywhere", func() bool { return asks(sc.a.Space, OutsideV4, "80") })

	// A published port of somebody else leads to where the container may not go.
	s = ours()
	sc = staged(s, nowhere)
	v := publish(s, other(s, nil), Portmap(), Port("tcp", 8080, 80))
	Serve(v.Space, "tcp", 80)
	Expect(asks(sc.sibling.Space, HostV4, "8080")).To(BeTrue(), "the port is published")
	r.Fails("a published port of another container", func() bool { return asks(sc.a.Space, HostV4, "8080") })

	// Whatever its lists say of others, the host is the host.
	s = ours()
	sc = staged(s, Conf{"egress": Conf{"default": "allow", "deny": []Conf{{"to": "host"}}}})
	for _, to := range []string{HostV6, GatewayV6, "ff02::1"} {
		r.Fails("the host is denied: by the link-local address to "+to, func() bool {
			return sc.hears(sc.host, func(text []byte) []byte {
				return datagram(netip.AddrPortFrom(linkLocal(sc.a.mac), 4000), netip.AddrPortFrom(addr(to), 5300), text)
			})
		})
	}
	r.Fails("the host is denied: broadcast", func() bool {
		return sc.hears(sc.host, func(text []byte) []byte {
			return datagram(sc.a.at(4000), netip.MustParseAddrPort("255.255.255.255:5300"), text)
		})
	})

	// Two that may not speak to each other do not answer each other, either.
	s = ours()
	c := both(s).With(nowhere)
	one, two := enter(s, c), enter(s, c)
	speak := func(from, to *Victim, port, at uint16) bool {
		text, ear := mark(), newTap(to.Space, "eth0")
		newTap(from.Space, "eth0").send(ipFrame(to.mac, from.mac, datagram(from.at(port), to.at(at), text)))
		return ear.hears(Haste, text)
	}
	r.Fails("UDP of two confined neighbours", func() bool {
		return speak(one, two, 4000, 5000) || speak(two, one, 5000, 4000) || speak(one, two, 4000, 5000)
	})

	// What the container before was asked is not the next one's to answer.
	r.Fails("a connection to the container that had the address before", func() bool { return inherits(r) })

	// An established connection ends with the rules that allowed it.
	r.Fails("a connection that was open before its address was denied", func() bool { return survives(r) })
	r.Fails("while ADD and DEL are at work", func() bool { return escapes(nowhere) })
	r.Works("while ADD and DEL are at work, without egress", func() bool { return escapes(nil) })
})

// inherits says whether a container may answer who asked another one at its address.
func inherits(r *Row) bool {
	GinkgoHelper()
	s := ours()
	Expect(s.Outside.Route(SubnetV4, HostV4)).To(Succeed())
	c := both(s).With(nowhere)
	first := enter(s, c)
	ask := func() {
		GinkgoHelper()
		text, ear := mark(), newTap(first.Space, "eth0")
		newTap(s.Outside, "eth0").send(ipFrame(MAC(s.Host, "uplink"), MAC(s.Outside, "eth0"),
			datagram(netip.MustParseAddrPort(OutsideV4+":6000"), first.at(5000), text)))
		Expect(ear.hears(Patience, text)).To(BeTrue())
	}
	answer := func(a *Victim) bool {
		text, ear := mark(), newTap(s.Outside, "eth0")
		newTap(a.Space, "eth0").send(ipFrame(MAC(s.Host, BridgeName), a.mac, datagram(a.at(5000), netip.MustParseAddrPort(OutsideV4+":6000"), text)))
		return ear.hears(Haste, text)
	}
	ask()
	r.Works("an answer to who asked", func() bool { return answer(first) })
	s.Del(first.Box, c, first.result)
	b := s.Container()
	next := known(b, s.Add(b, c.With(Conf{"args": Conf{"cni": Conf{"ips": []string{first.v4.String()}}}})))
	return answer(next)
}

// survives says whether a connection goes on after the container was attached anew with other rules.
func survives(r *Row) bool {
	GinkgoHelper()
	s := ours()
	allow := Conf{"egress": Conf{"default": "deny", "allow": []Conf{{"to": OutsideV4}}}}
	sc := staged(s, allow)
	flow := func(text []byte) []byte {
		return datagram(netip.AddrPortFrom(sc.a.v4, 4000), netip.MustParseAddrPort(OutsideV4+":5300"), text)
	}
	r.Works("an address that is allowed", func() bool { return sc.hears(sc.out, flow) })
	s.Del(sc.a.Box, both(s).With(allow), sc.a.result)
	c := both(s).With(nowhere)
	b := s.Container()
	a := known(b, s.Add(b, c.With(Conf{"args": Conf{"cni": Conf{"ips": []string{sc.a.v4.String()}}}})))
	Expect(a.v4).To(Equal(sc.a.v4))
	sc.a = a
	return sc.hears(sc.out, flow)
}

// escapes says whether a container that sends all the time gets a packet out while others' verbs and
// its own are at work.
func escapes(more Conf) bool {
	GinkgoHelper()
	s := ours()
	c := both(s).With(more)
	ear := newTap(s.Outside, "eth0")
	enter(s, c) // the bridge stays
	text, gateway := mark(), MAC(s.Host, BridgeName)
	sent := 0
	for range 10 {
		b := s.Container()
		stop, done := make(chan struct{}), make(chan int)
		go func() { done <- sending(b.Space, gateway, text, stop) }()
		result := s.Add(b, c)
		time.Sleep(5 * time.Millisecond) // it sends meanwhile
		s.Del(b, c, result)
		close(stop)
		sent += <-done
	}
	Expect(sent).To(BeNumerically(">", 0))
	return ear.hears(Haste, text)
}

// sending sends UDP from eth0, from the moment on at which there is one. It returns how many were sent.
func sending(space *Space, gateway []byte, text []byte, stop chan struct{}) (n int) {
	_ = space.Do(func() error {
		for {
			select {
			case <-stop:
				return nil
			default:
			}
			l, err := netlink.LinkByName("eth0")
			if err != nil {
				continue
			}
			addrs, err := netlink.AddrList(l, netlink.FAMILY_V4)
			if err != nil || len(addrs) == 0 {
				continue
			}
			from, _ := netip.AddrFromSlice(addrs[0].IP)
			frame := ipFrame(gateway, l.Attrs().HardwareAddr, datagram(netip.AddrPortFrom(from.Unmap(), 4000), netip.MustParseAddrPort(OutsideV4+":5300"), text))
			if sendRaw(l.Attrs().Index, frame) == nil {
				n++
			}
		}
	})
	return n
}

var _ = row("T29", "a container of one network reaches a container of another", func(r *Row) {
	pairs := func(from, to *Victim) map[string]func() bool {
		return map[string]func() bool{
			"IPv4": func() bool { return asks(from.Space, to.v4.String(), "80") },
			"IPv6": func() bool { return asks(from.Space, to.v6.String(), "80") },
		}
	}
	try := func(s *Stage, c, of Conf) (a, b *Victim, ways map[string]func() bool) {
		GinkgoHelper()
		a, b = enter(s, c), publish(s, of, Portmap(), Port("tcp", 8080, 80))
		Serve(a.Space, "tcp", 80)
		Serve(b.Space, "tcp", 80)
		ways = make(map[string]func() bool)
		for name, way := range pairs(a, b) {
			ways["to the other, "+name] = way
		}
		for name, way := range pairs(b, a) {
			ways["from the other, "+name] = way
		}
		return a, b, ways
	}
	s := ours()
	_, _, ways := try(s, both(s), other(s, nil))
	for name, way := range ways {
		r.Works("without isolation: "+name, way)
	}
	for _, isolation := range []string{"network", "strict"} {
		s := ours()
		c := both(s).With(Conf{"isolation": isolation})
		a, _, ways := try(s, c, other(s, nil))
		for name, way := range ways {
			r.Fails(isolation+": "+name, way)
		}
		Expect(asks(a.Space, HostV4, "8080")).To(BeTrue(), "a published port")
		Expect(asks(a.Space, HostV6, "8080")).To(BeTrue(), "a published port, IPv6")
		ExpectPing(a.Space, OutsideV4, OutsideV6, GatewayV4, GatewayV6)
		sibling := enter(s, c)
		Expect(asks(sibling.Space, a.v4.String(), "80")).To(BeTrue(), "a sibling")
		ExpectOK("CHECK", s.Check(a.Box, c, a.result))
		if s.HasVlans() {
			tagged := enter(s, other(s, Conf{"bridge": "tag0", "vlan": 100, "ipam": s.IPAM("10.62.0.0/24")}))
			r.Fails(isolation+": from behind the gateway of a VLAN", func() bool { return asks(tagged.Space, a.v4.String(), "80") })
		}
	}
	// An address that nobody gave the container.
	s = ours()
	c := both(s).With(Conf{"isolation": "network"})
	a, b, _ := try(s, c, other(s, nil))
	Program(s.Host, "", "nsenter", "--net="+a.Path, "ip", "address", "add", "10.71.0.77/24", "dev", "eth0")
	Program(s.Host, "", "ip", "route", "add", "10.71.0.0/24", "dev", BridgeName)
	r.Fails("network, from an address that the container gave itself", func() bool {
		_, err := a.AskFrom("tcp", "10.71.0.77:0", b.v4.String()+":80", Haste)
		return err == nil
	})
	r.Fails("network, to such an address", func() bool { return asks(b.Space, "10.71.0.77", "80") })

	// A bridge that somebody else made, with the host as its gateway.
	for isolation, judge := range map[string]func(string, func() bool){"network": r.Works, "strict": r.Fails} {
		s := ours()
		Program(s.Host, "", "ip", "link", "add", "own0", "type", "bridge")
		_, _, ways := try(s, both(s).With(Conf{"isolation": isolation}), other(s, Conf{"bridge": "own0"}))
		for name, way := range ways {
			judge(isolation+", somebody else's bridge: "+name, way)
		}
	}
})
