package features_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a network that is given another subnet", func() {
	var (
		s        *Stage
		old, now Conf
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		old = s.Bridge(SubnetV4, SubnetV6)
		now = s.Bridge(newSubnetV4, newSubnetV6)
	})
	both := []string{GatewayV4 + "/24", GatewayV6 + "/64", newGatewayV4 + "/24", newGatewayV6 + "/64"}
	latest := []string{newGatewayV4 + "/24", newGatewayV6 + "/64"}

	It("keeps its old gateway until the last old address goes by DEL", func() {
		a, aResult := s.Attach(old)
		b, bResult := s.Attach(old)
		c, cResult := s.Attach(now)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(both))
		ExpectPing(a.Space, GatewayV4, GatewayV6, newFirstV4)
		ExpectPing(c.Space, newGatewayV4, newGatewayV6, FirstV4)
		s.Del(a, now, aResult)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(both))
		ExpectPing(b.Space, GatewayV4, GatewayV6, newFirstV4)
		s.Del(b, now, bResult)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(latest))
		ExpectOK("CHECK", s.Check(c, now, cResult))
		ExpectPing(c.Space, newGatewayV4, newGatewayV6)
	})

	It("or by GC", func() {
		s.Attach(old)
		b, _ := s.Attach(old)
		c, cResult := s.Attach(now)
		s.GC(now, b, c)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(both))
		s.GC(now, c)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(latest))
		ExpectOK("CHECK", s.Check(c, now, cResult))
	})

	It("never takes the gateway of another network that uses the subnet, too", func() {
		other := old.With(Conf{"name": "other"})
		a, aResult := s.Attach(old)
		_, _ = s.Attach(now)
		b, _ := s.Attach(other)
		s.Del(a, now, aResult)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(both))
		ExpectPing(b.Space, GatewayV4, GatewayV6)
	})

	It("has only the new gateway where nothing was plugged in any more", func() {
		a, aResult := s.Attach(old)
		s.Del(a, old, aResult)
		s.Attach(now)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(latest))
	})
})
