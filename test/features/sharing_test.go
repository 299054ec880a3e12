package features_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	newSubnetV4, newGatewayV4, newFirstV4 = "10.62.0.0/24", "10.62.0.1", "10.62.0.2"
	newSubnetV6, newGatewayV6             = "fd62::/64", "fd62::1"
)

var _ = Describe("several networks on one bridge", func() {
	var (
		s             *Stage
		first, second Conf
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		first = s.Bridge(SubnetV4, SubnetV6)
		second = s.Bridge(newSubnetV4, newSubnetV6).With(Conf{"name": "second"})
	})

	It("are each reachable, by gateways of their own", func() {
		a, aResult := s.Attach(first)
		b, bResult := s.Attach(second)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(
			GatewayV4+"/24", GatewayV6+"/64", newGatewayV4+"/24", newGatewayV6+"/64"))
		Serve(s.Outside, "tcp", 7000)
		for _, box := range []*Box{a, b} {
			ExpectSeen(box.Space, "tcp", OutsideV4, "7000", HostV4)
			ExpectSeen(box.Space, "tcp", OutsideV6, "7000", HostV6)
		}
		ExpectPing(a.Space, GatewayV4, GatewayV6)
		ExpectPing(b.Space, newGatewayV4, newGatewayV6)
		ExpectPing(s.Host, FirstV4, FirstV6, newFirstV4)
		ExpectPing(a.Space, newFirstV4)
		ExpectOK("CHECK", s.Check(a, first, aResult))
		ExpectOK("CHECK", s.Check(b, second, bResult))
	})

	It("outlive each other's DEL and GC", func() {
		a, aResult := s.Attach(first)
		b, bResult := s.Attach(second)
		s.Del(b, second, bResult)
		s.GC(second)
		Expect(HasLink(s.Host, BridgeName)).To(BeTrue())
		ExpectOK("CHECK", s.Check(a, first, aResult))
		ExpectPing(a.Space, GatewayV4, GatewayV6)
	})

	It("and the last one's GC takes everything", func() {
		virgin := s.Settled()
		a, aResult := s.Attach(first)
		b, bResult := s.Attach(second)
		s.Del(a, first, aResult)
		s.GC(first)
		ExpectOK("CHECK", s.Check(b, second, bResult))
		s.Del(b, second, bResult)
		s.GC(second)
		s.ExpectEqual(virgin)
	})

	It("are refused on somebody else's bridge that has another address", func() {
		foreign(s, BridgeName, false)
		s.Attach(first)
		s.Settled()
		before := s.Snap()
		late := s.Container()
		ExpectError(s.Call(late, "ADD", second), Conflict, BridgeName, GatewayV4, newGatewayV4)
		s.ExpectEqual(before)
	})
})

var _ = Describe("a network whose subnet was changed", func() {
	It("keeps the older container working, and later leaves the new gateway only", func() {
		s := NewStage(GinkgoT())
		was := s.Bridge(SubnetV4, SubnetV6)
		is := s.Bridge(newSubnetV4, newSubnetV6)
		old, oldResult := s.Attach(was)
		b, result := s.Attach(is)
		Expect(Addrs(b.Space, "eth0")).To(ContainElement(newFirstV4 + "/24"))

		Serve(s.Outside, "tcp", 7000)
		for _, box := range []*Box{old, b} {
			ExpectSeen(box.Space, "tcp", OutsideV4, "7000", HostV4)
			ExpectSeen(box.Space, "tcp", OutsideV6, "7000", HostV6)
		}
		ExpectPing(old.Space, GatewayV4, GatewayV6, newFirstV4)
		ExpectPing(b.Space, newGatewayV4, newGatewayV6, FirstV4)
		ExpectOK("CHECK", s.Check(b, is, result))

		s.Del(old, is, oldResult) // the runtime has the new configuration only
		Expect(s.Lease(FirstV4)).NotTo(BeAnExistingFile())
		ExpectOK("CHECK", s.Check(b, is, result))
		s.Del(b, is, result)

		s.Attach(is)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(newGatewayV4+"/24", newGatewayV6+"/64"))
	})
})

var _ = Describe("a released address", func() {
	// A requested address moves the pointer of the round robin: the one that was
	// released would be the next.
	lease := func(s *Stage, changes Conf) (*Box, string, func()) {
		GinkgoHelper()
		c := s.Bridge().With(Conf{"isGateway": true, "ipam": Conf{
			"type": "host-local", "dataDir": s.Data(),
			"ranges": [][]Conf{{{"subnet": SubnetV4, "rangeStart": "10.60.0.2", "rangeEnd": "10.60.0.5"}}},
		}})
		b, result := s.Attach(c.With(changes))
		return b, result.IPs[0].Address.IP.String(), func() { s.Del(b, c, result) }
	}
	asked := Conf{"runtimeConfig": Conf{"ips": []string{"10.60.0.5"}}}

	It("is not the next one while others are free", func() {
		s := NewStage(GinkgoT())
		_, first, release := lease(s, nil)
		Expect(first).To(Equal("10.60.0.2"))
		lease(s, asked)
		release()
		_, next, _ := lease(s, nil)
		Expect(next).To(Equal("10.60.0.3"))
	})

	It("is handed out where no other is free", func() {
		s := NewStage(GinkgoT())
		_, first, release := lease(s, nil)
		lease(s, nil)
		lease(s, nil)
		lease(s, nil)
		release()
		_, next, _ := lease(s, nil)
		Expect(next).To(Equal(first))
	})

	It("is had at once by who asks for it", func() {
		s := NewStage(GinkgoT())
		_, _, release := lease(s, asked)
		release()
		_, again, _ := lease(s, asked)
		Expect(again).To(Equal("10.60.0.5"))
	})
})
