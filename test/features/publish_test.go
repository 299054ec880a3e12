package features_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("bridge with the capability portMappings", func() {
	var (
		s *Stage
		c Conf
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		c = Publishing(s.Bridge(SubnetV4, SubnetV6), Port("tcp", 8080, 80), Port("tcp", 8443, 443))
	})

	It("publishes ports itself", func() {
		b, result := s.Attach(c)
		client, _ := s.Attach(s.Bridge(SubnetV4, SubnetV6))
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(s.Outside, "tcp", HostV6, "8080", OutsideV6)
		ExpectSeen(s.Host, "tcp", HostV4, "8080")
		ExpectSeen(s.Host, "tcp", "127.0.0.1", "8080")
		ExpectSeen(client.Space, "tcp", HostV4, "8080")
		ExpectSeen(client.Space, "tcp", HostV6, "8080")
		ExpectOK("CHECK", s.Check(b, c, result))
		s.Del(b, c, result)
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
	})

	It("without ports is as it was", func() {
		none := Publishing(s.Bridge(SubnetV4))
		b, result := s.Attach(none)
		ExpectOK("CHECK", s.Check(b, none, result))
		s.Del(b, none, result)
	})

	It("refuses a port of another container, and nothing is left", func() {
		holder, _ := s.Attach(c)
		before := s.Settled()
		late := s.Container()
		for _, first := range []int{8080, 9999} { // the clash first, or after a free one
			clash := Publishing(s.Bridge(SubnetV4, SubnetV6), Port("tcp", first, 80), Port("tcp", 8080, 80))
			ExpectError(s.Call(late, "ADD", clash), Conflict, "8080", holder.ID)
			s.ExpectEqual(before)
			Expect(HasLink(late.Space, "eth0")).To(BeFalse())
		}
		Serve(holder.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	})

	It("refuses a port that is none, before anything is changed", func() {
		before := s.Settled()
		ExpectError(s.Call(s.Container(), "ADD", Publishing(s.Bridge(SubnetV4), Port("tcp", 70000, 80))), 7, "hostPort", "70000")
		s.ExpectEqual(before)
	})

	DescribeTable("CHECK names what is missing in", func(set, text string) {
		b, result := s.Attach(c)
		EmptySet(s.Host, NAT, set)
		ExpectError(s.Check(b, c, result), Drift, set, text)
	},
		Entry("the ports of IPv4", "anyport4", "8080"),
		Entry("the ports of IPv6", "anyport6", "8443"),
	)

	It("takes all back by DEL, by DEL without ports, and by GC", func() {
		virgin := s.Settled()
		b, result := s.Attach(c)
		s.Settled()
		s.Del(b, c, result)
		warm := s.Settled()

		b, _ = s.Attach(c)
		ExpectOK("DEL", s.Call(b, "DEL", c.With(Conf{"runtimeConfig": nil})))
		s.ExpectEqual(warm)

		stays, _ := s.Attach(Publishing(s.Bridge(SubnetV4, SubnetV6), Port("udp", 5353, 53)))
		before := s.Settled()
		lost, _ := s.Attach(c)
		Expect(lost.Close()).To(Succeed())
		s.GC(c, stays)
		s.ExpectEqual(before)
		Expect(stays.Close()).To(Succeed())
		s.GC(c)
		s.ExpectEqual(virgin)
	})

	It("publishes once, though a portmap is chained behind it", func() {
		both := s.Network(List(Publishing(s.Bridge(SubnetV4, SubnetV6)), Portmap()))
		ports := []map[string]any{Port("tcp", 8080, 80)}
		warm, b := s.Container(), s.Container()
		warm.Add(both, ports...)
		s.Settled()
		warm.Del(both, ports...)
		before := s.Settled()

		b.Add(both, ports...)
		for _, set := range []string{"anyport4", "anyport6", "published"} {
			Expect(Elements(s.Host, NAT, set)).To(HaveLen(1), set)
		}
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		b.Check(both, ports...)
		b.Del(both, ports...)
		s.ExpectEqual(before)
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
	})

	It("publishes by its own backend, whatever masquerades", func() {
		NewXtables(s, "nft")
		mixed := c.With(Conf{"ipMasqBackend": "iptables"})
		b, result := s.Attach(mixed)
		Serve(b.Space, "tcp", 80)
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
		ExpectOK("CHECK", s.Check(b, mixed, result))
		s.Del(b, mixed, result)
	})
})
