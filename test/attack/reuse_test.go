package attack_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = row("T18", "what was for a container that is gone reaches the next one with its address", func(r *Row) {
	told := true // DEL is told the ports
	leaks := func(s *Stage, meddle func(*Stage, *Network), subnet, first, host, outside string) bool {
		GinkgoHelper()
		c := s.Bridge().With(Conf{"isDefaultGateway": true, "ipam": s.IPAM().With(Conf{
			"ranges": [][]Conf{{{"subnet": subnet, "rangeStart": first, "rangeEnd": first}}},
		})})
		ports := []map[string]any{Port("udp", 5353, 53)}
		n := s.Network(List(c, Portmap()))
		old := publish(s, c, Portmap(), ports...)
		hears := listen(old.Space, ":53")
		from, to := netip.AddrPortFrom(netip.MustParseAddr(outside), 5000), netip.AddrPortFrom(netip.MustParseAddr(host), 5353)
		speak := func(text string) {
			_, _ = s.Outside.AskFrom("udp", from.String(), to.String(), 50*time.Millisecond)
			t := newTap(s.Outside, "eth0")
			t.send(ipFrame(MAC(s.Host, "uplink"), MAC(s.Outside, "eth0"), datagram(from, to, []byte(text))))
		}
		speak("for the first")
		Expect(hears.hears("for the first")).To(BeTrue())
		meddle(s, n)
		if !told {
			ports = nil
		}
		old.Del(n, ports...)
		Expect(old.Close()).To(Succeed())
		next := enter(s, c) // publishes nothing
		Expect(next.v4 == old.v4 && next.v6 == old.v6).To(BeTrue())
		second := listen(next.Space, ":53")
		speak("for nobody")
		return second.hears("for nobody")
	}
	v4 := func(s *Stage, meddle func(*Stage, *Network)) bool {
		GinkgoHelper()
		return leaks(s, meddle, SubnetV4, FirstV4, HostV4, OutsideV4)
	}
	v6 := func(s *Stage, meddle func(*Stage, *Network)) bool {
		GinkgoHelper()
		return leaks(s, meddle, SubnetV6, FirstV6, HostV6, OutsideV6)
	}
	nothing := func(*Stage, *Network) {}
	// From v1.10.0 on the reference forgets flows over UDP, of the ports that DEL is told.
	told = false
	r.Works("the reference", func() bool { return v4(reference(), nothing) })
	r.Works("the reference, IPv6", func() bool { return v6(reference(), nothing) })
	r.Fails("DEL forgets the flows of ports that it is not told", func() bool { return v4(ours(), nothing) })
	told = true
	r.Fails("DEL forgets the flows", func() bool { return v4(ours(), nothing) })
	r.Fails("and those of IPv6", func() bool { return v6(ours(), nothing) })
	// Counters say nothing: somebody may set them to 0.
	for family, leaks := range map[string]func(*Stage, func(*Stage, *Network)) bool{"IPv4": v4, "IPv6": v6} {
		r.Fails("also where the rules were saved without counters, and loaded again: "+family, func() bool {
			return leaks(ours(), func(s *Stage, _ *Network) { Reload(s.Host) })
		})
	}
	r.Fails("also where GC comes in place of DEL", func() bool {
		return v4(ours(), func(_ *Stage, n *Network) { Expect(n.GC(nil)).To(Succeed()) })
	})
})

var _ = row("T24", "a new container gets an address that somebody else has just left", func(r *Row) {
	same := func(s *Stage) bool {
		GinkgoHelper()
		c := s.Bridge(SubnetV4)
		old := enter(s, c)
		s.Del(old.Box, c, old.result)
		// Round-robin starts anew: after a reboot, or where a full disk had no room.
		Expect(os.Remove(filepath.Join(s.Data(), NetworkName, "last_reserved_ip.0"))).To(Succeed())
		return enter(s, c).v4 == old.v4
	}
	r.Works("the reference", func() bool { return same(reference()) })
	r.Fails("released addresses rest", func() bool { return same(ours()) })
})
