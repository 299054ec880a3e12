package features_test

import (
	"net"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// guarded is the usual configuration with macspoofchk.
func guarded(s *Stage) Conf { return s.Bridge(SubnetV4, SubnetV6).With(Conf{"macspoofchk": true}) }

var _ = Describe("macspoofchk", func() {
	var s *Stage
	BeforeEach(func() { s = NewStage(GinkgoT()) })

	another := net.HardwareAddr{2, 0, 0, 0, 0, 0x66}

	DescribeTable("a frame with another source address", func(c func() Conf, want ...string) {
		sibling, _ := s.Attach(c())
		sender, _ := s.Attach(c())
		hears := listen(sibling.Space, "eth0")
		to, own := MAC(sibling.Space, "eth0"), MAC(sender.Space, "eth0")
		say(sender.Space, "eth0", another, to, untagged, "another's, to the sibling")
		say(sender.Space, "eth0", another, everybody, untagged, "another's, to everybody")
		say(sender.Space, "eth0", to, everybody, untagged, "the sibling's own")
		say(sender.Space, "eth0", own, everybody, untagged, "own")
		Expect(hears.until("own")).To(Equal(append(want, "own")))
		ExpectPing(sender.Space, FirstV4, FirstV6, GatewayV4, GatewayV6)
	},
		Entry("arrives without the key", func() Conf { return s.Bridge(SubnetV4, SubnetV6) },
			"another's, to the sibling", "another's, to everybody", "the sibling's own"),
		Entry("does not arrive with it", func() Conf { return guarded(s) }),
	)

	It("guards a container of one network and leaves its unguarded neighbour alone", func() {
		hearer, _ := s.Attach(s.Bridge(SubnetV4))
		free, _ := s.Attach(s.Bridge(SubnetV4))
		s.Attach(guarded(s))
		hears := listen(hearer.Space, "eth0")
		say(free.Space, "eth0", another, everybody, untagged, "free")
		Expect(hears.until("free")).To(Equal([]string{"free"}))
	})

	It("lets the MAC through that the runtime asked for", func() {
		sibling, _ := s.Attach(guarded(s))
		sender, _ := s.Attach(guarded(s).With(Conf{"runtimeConfig": Conf{"mac": another.String()}}))
		hears := listen(sibling.Space, "eth0")
		say(sender.Space, "eth0", another, everybody, untagged, "asked for")
		Expect(hears.until("asked for")).To(HaveLen(1))
	})

	It("is taken back by DEL, and by GC whole", func() {
		virgin := s.Settled()
		b, result := s.Attach(guarded(s))
		s.Settled()
		Expect(Elements(s.Host, Frames, "guarded")).To(HaveLen(1))
		Expect(Elements(s.Host, Frames, "macs")).To(HaveLen(1))
		s.Del(b, guarded(s), result)
		warm := s.Settled()
		Expect(Elements(s.Host, Frames, "guarded")).To(BeEmpty())
		Expect(Elements(s.Host, Frames, "macs")).To(BeEmpty())

		again, result := s.Attach(guarded(s))
		Expect(result).NotTo(BeNil())
		ExpectOK("DEL", s.Call(again, "DEL", s.Bridge(SubnetV4, SubnetV6))) // the key went since
		s.ExpectEqual(warm)

		lost, _ := s.Attach(guarded(s))
		Expect(lost.Close()).To(Succeed())
		s.GC(guarded(s))
		s.ExpectEqual(virgin)
	})

	It("is taken back by GC where nothing else is left of the attachment", func() {
		alone := guarded(s).With(Conf{"ipMasq": nil})
		virgin := s.Settled()
		stays, _ := s.Attach(alone)
		before := s.Settled()
		lost, _ := s.Attach(alone)
		Expect(lost.Close()).To(Succeed()) // its link goes along
		s.GC(alone, stays)
		s.ExpectEqual(before)
		Expect(stays.Close()).To(Succeed())
		s.GC(alone)
		s.ExpectEqual(virgin)
	})

	It("survives a GC that names the attachment", func() {
		b, result := s.Attach(guarded(s))
		before := s.Settled()
		s.Attach(guarded(s))
		s.GC(guarded(s), b)
		s.ExpectEqual(before)
		ExpectOK("CHECK", s.Check(b, guarded(s), result))
	})

	DescribeTable("CHECK names what was taken away:", func(spoil func(), texts ...string) {
		virgin := s.Settled()
		b, result := s.Attach(guarded(s))
		ExpectOK("CHECK", s.Check(b, guarded(s), result))
		spoil()
		ExpectError(s.Check(b, guarded(s), result), Drift, texts...)
		s.Del(b, guarded(s), result)
		s.GC(guarded(s))
		s.ExpectEqual(virgin)
	},
		Entry("the mark of the port", func() { EmptySet(s.Host, Frames, "guarded") }, "macspoofchk", "guarded", "veth"),
		Entry("the address", func() { EmptySet(s.Host, Frames, "macs") }, "macspoofchk", "macs", "0a:58:0a:3c:00:02"),
		Entry("the rule", func() {
			Rules(s.Host, func(c *nftables.Conn) error {
				c.FlushChain(&nftables.Chain{Table: Frames, Name: "spoofed"})
				return nil
			})
		}, "chain bridge bridgeport spoofed"),
		Entry("the table", func() {
			Rules(s.Host, func(c *nftables.Conn) error { c.DelTable(Frames); return nil })
		}, "bridgeport"),
	)
})
