package features_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

var _ = Describe("vlan", func() {
	var s *Stage
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		s.NeedVlans()
	})

	DescribeTable("CHECK names what was changed, and DEL and GC still take all back:", func(spoil func(*types100.Result), texts ...string) {
		virgin := s.Settled()
		c := tagged(s, 100).With(Conf{"vlanTrunk": []Conf{{"minID": 300, "maxID": 310}}})
		b, result := s.Attach(c)
		ExpectOK("CHECK", s.Check(b, c, result))
		spoil(result)
		ExpectError(s.Check(b, c, result), Drift, texts...)
		s.Del(b, c, result)
		s.GC(c)
		s.ExpectEqual(virgin)
	},
		Entry("the VLAN of untagged frames", func(r *types100.Result) {
			Change(s.Host, r.Interfaces[1].Name, func(l netlink.Link) error {
				return netlink.BridgeVlanDel(l, 100, true, true, false, false)
			})
		}, "VLANs", "100 pvid untagged"),
		Entry("that it is untagged", func(r *types100.Result) {
			Change(s.Host, r.Interfaces[1].Name, func(l netlink.Link) error {
				return netlink.BridgeVlanAdd(l, 100, true, false, false, false)
			})
		}, "VLANs", "100 pvid"),
		Entry("a VLAN of the trunk", func(r *types100.Result) {
			Change(s.Host, r.Interfaces[1].Name, func(l netlink.Link) error {
				return netlink.BridgeVlanDel(l, 305, false, false, false, false)
			})
		}, "VLANs", "300-304", "306-310"),
		Entry("one VLAN too many", func(r *types100.Result) {
			Change(s.Host, r.Interfaces[1].Name, func(l netlink.Link) error {
				return netlink.BridgeVlanAdd(l, 1, false, true, false, false)
			})
		}, "VLANs", "1 untagged"),
		Entry("the bridge's VLAN filtering", func(*types100.Result) {
			off := false
			Inside(s.Host, func() error {
				return netlink.LinkModify(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: BridgeName}, VlanFiltering: &off})
			})
		}, "VLAN filtering"),
		Entry("the gateway's address", func(*types100.Result) {
			Change(s.Host, "lan0.100", func(l netlink.Link) error { return netlink.AddrDel(l, ParseAddr(GatewayV4+"/24")) })
		}, "lan0.100", GatewayV4),
		Entry("the gateway's link", func(*types100.Result) { Change(s.Host, "lan0.100", netlink.LinkDel) }, "lan0.100"),
		Entry("the gateway's state", func(*types100.Result) { Change(s.Host, "lan0.100", netlink.LinkSetDown) }, "lan0.100", "up"),
		Entry("the VLAN of the gateway's port", func(*types100.Result) {
			Change(s.Host, gatewayPort(s, "lan0.100"), func(l netlink.Link) error {
				return netlink.BridgeVlanDel(l, 100, true, true, false, false)
			})
		}, "VLANs", "100 pvid untagged"),
		Entry("the gateway's port", func(*types100.Result) {
			Change(s.Host, gatewayPort(s, "lan0.100"), netlink.LinkSetNoMaster)
		}, "VLANs", "100 pvid untagged"),
	)

	It("is taken back by DEL, and GC of the last network takes gateways and bridge", func() {
		virgin := s.Settled()
		a, aResult := s.Attach(tagged(s, 100))
		s.Settled()
		s.Del(a, tagged(s, 100), aResult)
		warm := s.Settled()
		a, aResult = s.Attach(tagged(s, 100))
		s.Del(a, tagged(s, 100), aResult)
		s.ExpectEqual(warm)

		a, aResult = s.Attach(tagged(s, 100))
		b, bResult := s.Attach(red(s))
		s.Del(a, tagged(s, 100), aResult)
		s.GC(tagged(s, 100))
		ExpectPing(b.Space, newGatewayV4, newGatewayV6)
		ExpectOK("CHECK", s.Check(b, red(s), bResult))
		s.Del(b, red(s), bResult)
		s.GC(red(s))
		s.ExpectEqual(virgin)
	})

	It("makes an older bridge of ours tell VLANs apart, and its containers stay together", func() {
		plain := s.Bridge(newSubnetV4).With(Conf{"name": "plain"})
		old, oldResult := s.Attach(plain)
		other, _ := s.Attach(plain)
		b, result := s.Attach(tagged(s, 100))
		ExpectPing(b.Space, GatewayV4)
		ExpectPing(old.Space, newGatewayV4, Addrs(other.Space, "eth0")[0][:len(newFirstV4)])
		ExpectOK("CHECK", s.Check(b, tagged(s, 100), result))
		ExpectOK("CHECK", s.Check(old, plain, oldResult))
	})

	It("uses somebody else's bridge that tells VLANs apart, and refuses one that does not", func() {
		foreign(s, BridgeName, true)
		foreign(s, "dumb0", false)
		b, _ := s.Attach(tagged(s, 100))
		ExpectPing(b.Space, GatewayV4, GatewayV6)
		before := s.Settled()
		late := s.Container()
		ExpectError(s.Call(late, "ADD", tagged(s, 100).With(Conf{"bridge": "dumb0"})), Conflict, "dumb0", "vlan_filtering 1")
		s.ExpectEqual(before)
	})

	It("uses the gateway that the reference made, and tells its real address", func() {
		ours := s.Bin
		s.Bin = Reference(GinkgoT(), "bridge", "host-local")
		theirs, _ := s.Attach(tagged(s, 100))
		s.Bin = ours
		b, result := s.Attach(tagged(s, 100))
		Expect(result.Interfaces).To(HaveLen(4))
		Expect(result.Interfaces[3].Mac).To(Equal(MAC(s.Host, "lan0.100").String()))
		ExpectPing(b.Space, GatewayV4, GatewayV6, FirstV4)
		ExpectPing(theirs.Space, GatewayV4, SecondV4)
		ExpectOK("CHECK", s.Check(b, tagged(s, 100), result))
	})

	It("gives the gateway's link the network's mtu, and a new one as well", func() {
		for _, mtu := range []int{1500, 1400, 1450} {
			c := tagged(s, 100).With(Conf{"mtu": mtu})
			b, result := s.Attach(c)
			expectMTU(s, b, result, mtu)
			ExpectOK("CHECK", s.Check(b, c, result))
		}
	})

	It("is refused where the gateway's name would be too long, before anything is changed", func() {
		before := s.Settled()
		b := s.Container()
		ExpectError(s.Call(b, "ADD", tagged(s, 4000).With(Conf{"bridge": "longbridge0"})), 7, "longbridge0.4000")
		s.ExpectEqual(before)
	})

	It("is refused where the gateway's name is taken by another kind of link", func() {
		foreign(s, "lan0.100", false)
		before := s.Settled()
		b := s.Container()
		ExpectError(s.Call(b, "ADD", tagged(s, 100)), Conflict, "lan0.100", "veth")
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
		Expect(s.Snap()).To(HaveKeyWithValue("link lan0.100", before["link lan0.100"]))
	})
})

// gatewayPort is the end in the bridge of a VLAN's gateway.
func gatewayPort(s *Stage, gateway string) (name string) {
	GinkgoHelper()
	Change(s.Host, gateway, func(l netlink.Link) error {
		peer, err := netlink.LinkByIndex(l.Attrs().ParentIndex)
		if err == nil {
			name = peer.Attrs().Name
		}
		return err
	})
	return name
}
