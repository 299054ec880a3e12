package xtables_test

import (
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTableSubtree("an attachment of the reference's bridge, masquerading by", func(backend string) {
	var (
		s      *Stage
		x      Xtables
		c      Conf
		b      *Box
		result *types100.Result
		before snapshot.Snapshot
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		x = NewXtables(s, "nft")
		ours := s.Bin
		s.Bin = Reference(GinkgoT(), "bridge", "host-local")
		c = s.Bridge(SubnetV4, SubnetV6).With(Conf{"ipMasqBackend": backend})
		first, _ := s.Attach(c)
		s.Settled()
		ExpectOK("DEL", s.Call(first, "DEL", c))
		before = s.Settled()
		b, result = s.Attach(c)
		s.Bin = ours // the node changes to us
	})

	gone := func() {
		GinkgoHelper()
		s.ExpectEqual(before)
		Expect(s.Lease(result.IPs[0].Address.IP.String())).NotTo(BeAnExistingFile())
		Expect(x.Attachments(s.Host)).To(BeEmpty())
	}

	It("is detached by ours", func() {
		s.Del(b, c, result)
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
		gone()
		s.Del(b, c, result) // again
	})

	It("is detached by ours without the result of ADD", func() {
		ExpectOK("DEL", s.Call(b, "DEL", c))
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
		gone()
	})

	It("is detached by ours after its namespace went", func() {
		Expect(b.Close()).To(Succeed())
		ExpectOK("DEL", s.Run(delOf(b, "", c)))
		gone()
	})

	It("works on beside ours in the same network", func() {
		mine, mineResult := s.Attach(c)
		Expect(mineResult.IPs[0].Address.IP).NotTo(Equal(result.IPs[0].Address.IP))
		ExpectPing(b.Space, mineResult.IPs[0].Address.IP.String(), GatewayV4, GatewayV6)
		Serve(s.Outside, "tcp", 7000)
		for _, box := range []*Box{b, mine} {
			ExpectSeen(box.Space, "tcp", OutsideV4, "7000", HostV4)
			ExpectSeen(box.Space, "tcp", OutsideV6, "7000", HostV6)
		}
		ExpectOK("CHECK", s.Check(mine, c, mineResult))
		s.Del(mine, c, mineResult)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
	})

	It("survives a GC that names it", func() {
		s.GC(c, b)
		Expect(HasLink(b.Space, "eth0")).To(BeTrue())
		Expect(s.Lease(result.IPs[0].Address.IP.String())).To(BeAnExistingFile())
		ExpectPing(b.Space, GatewayV4, GatewayV6)
	})
},
	Entry("iptables", "iptables"),
	Entry("nftables", "nftables"),
)
