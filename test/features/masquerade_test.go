package features_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// farNets are two networks that the outside has an address in.
const farNet4, farNet6 = "198.51.100.0/24", "2001:db8:e::/64"

var _ = DescribeTableSubtree("masqueradeExclude", func(backend string) {
	var (
		s *Stage
		c Conf
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		NewXtables(s, "nft")
		known(s)
		c = s.Bridge(SubnetV4, SubnetV6).With(Conf{"ipMasqBackend": backend, "masqueradeExclude": []string{farNet4, farNet6}})
	})

	It("shows the container's address there, and the host's elsewhere", func() {
		b, result := s.Attach(c)
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(b.Space, "tcp", FarV4, "7000", FirstV4)
		ExpectSeen(b.Space, "tcp", FarV6, "7000", FirstV6)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
		ExpectSeen(b.Space, "tcp", OutsideV6, "7000", HostV6)
		ExpectOK("CHECK", s.Check(b, c, result))
	})

	It("takes a single address, and an address with host bits", func() {
		b, _ := s.Attach(c.With(Conf{"masqueradeExclude": []string{"198.51.100.77/24", OutsideV6 + "/128"}}))
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(b.Space, "tcp", FarV4, "7000", FirstV4)
		ExpectSeen(b.Space, "tcp", OutsideV6, "7000", FirstV6)
		ExpectSeen(b.Space, "tcp", FarV6, "7000", HostV6)
	})

	It("of a changed list holds for the next container, and the older one keeps its own", func() {
		old, oldResult := s.Attach(c)
		wider := c.With(Conf{"masqueradeExclude": []string{farNet4, OutsideV4 + "/32"}})
		b, result := s.Attach(wider)
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(b.Space, "tcp", FarV4, "7000", SecondV4)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", SecondV4)
		ExpectSeen(b.Space, "tcp", FarV6, "7000", HostV6)
		ExpectSeen(old.Space, "tcp", OutsideV4, "7000", HostV4)
		ExpectSeen(old.Space, "tcp", FarV6, "7000", FirstV6)
		ExpectOK("CHECK", s.Check(b, wider, result))
		ExpectOK("CHECK", s.Check(old, c, oldResult))
	})

	It("leaves nothing after DEL and GC", func() {
		b, result := s.Attach(c)
		s.Settled()
		s.Del(b, c, result)
		warm := s.Settled()
		b, result = s.Attach(c)
		s.Del(b, c, result)
		s.ExpectEqual(warm)
		s.GC(c)
		for key := range s.Snap() {
			Expect(key).NotTo(Or(ContainSubstring("bridgeport"), ContainSubstring("CNI-"), HaveSuffix(" "+BridgeName)))
		}
	})
},
	Entry("by nftables", "nftables"),
	Entry("by iptables", "iptables"),
)
