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
	leaks := func(s *Stage) bool {
		GinkgoHelper()
		c := s.Bridge().With(Conf{"isDefaultGateway": true, "ipam": s.IPAM().With(Conf{
			"ranges": [][]Conf{{{"subnet": SubnetV4, "rangeStart": FirstV4, "rangeEnd": FirstV4}}},
		})})
		ports := []map[string]any{Port("udp", 5353, 53)}
		n := s.Network(List(c, Portmap()))
		old := publish(s, c, Portmap(), ports...)
		first := listen(old.Space, "0.0.0.0:53")
		speak := func(text string) {
			_, _ = s.Outside.AskFrom("udp", OutsideV4+":5000", HostV4+":5353", 50*time.Millisecond)
			t := newTap(s.Outside, "eth0")
			t.send(ipFrame(MAC(s.Host, "uplink"), MAC(s.Outside, "eth0"),
				datagram(netip.MustParseAddrPort(OutsideV4+":5000"), netip.MustParseAddrPort(HostV4+":5353"), []byte(text))))
		}
		speak("for the first")
		Expect(first.hears("for the first")).To(BeTrue())
		old.Del(n, ports...)
		Expect(old.Close()).To(Succeed())
		next := enter(s, c) // publishes nothing
		Expect(next.v4).To(Equal(old.v4))
		second := listen(next.Space, "0.0.0.0:53")
		speak("for nobody")
		return second.hears("for nobody")
	}
	r.Works("the reference", func() bool { return leaks(reference()) })
	r.Fails("DEL forgets the flows", func() bool { return leaks(ours()) })
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
