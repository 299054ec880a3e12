package features_test

import (
	"net"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

func setMTU(s *Space, link string, mtu int) {
	GinkgoHelper()
	Change(s, link, func(l netlink.Link) error { return netlink.LinkSetMTU(l, mtu) })
}

// routeMTU makes a default route with an MTU of its own; 0 for none.
func routeMTU(s *Space, via string, mtu int) {
	GinkgoHelper()
	Inside(s, func() error {
		all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		if net.ParseIP(via).To4() == nil {
			all = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
		}
		return netlink.RouteAdd(&netlink.Route{Dst: all, Gw: net.ParseIP(via), MTU: mtu})
	})
}

// secondUplink is a wire for the other family.
func secondUplink(s *Stage) {
	GinkgoHelper()
	Expect(Wire(s.Host, "uplink2", "2001:db8:c::2/64", s.Outside, "eth1", "2001:db8:c::9/64")).To(Succeed())
}

// expectMTU wants the bridge, both ends of the pair and the result to have it.
func expectMTU(s *Stage, b *Box, result *types100.Result, mtu int) {
	GinkgoHelper()
	Expect(Link(b.Space, "eth0").Attrs().MTU).To(Equal(mtu), "eth0")
	for _, i := range result.Interfaces {
		Expect(i.Mtu).To(Equal(mtu), "%s in the result", i.Name)
		if i.Sandbox == "" {
			Expect(Link(s.Host, i.Name).Attrs().MTU).To(Equal(mtu), i.Name)
		}
	}
}

var _ = Describe("mtu", func() {
	var s *Stage
	BeforeEach(func() { s = NewStage(GinkgoT()) })

	DescribeTable("auto is", func(want int, prepare func(), subnets ...string) {
		prepare()
		c := s.Bridge(subnets...).With(Conf{"mtu": "auto"})
		ExpectOK("STATUS", s.Status(c))
		b, result := s.Attach(c)
		expectMTU(s, b, result, want)
		ExpectOK("CHECK", s.Check(b, c, result))
		s.Del(b, c, result)
	},
		Entry("the uplink's", 1400, func() {
			setMTU(s.Host, "uplink", 1400)
			routeMTU(s.Host, OutsideV4, 0)
		}, SubnetV4),
		Entry("larger than usual on a network of jumbo frames", 9000, func() {
			setMTU(s.Host, "uplink", 9000)
			routeMTU(s.Host, OutsideV4, 0)
		}, SubnetV4),
		Entry("the default route's, where it has one", 1380, func() {
			setMTU(s.Host, "uplink", 1400)
			routeMTU(s.Host, OutsideV4, 1380)
		}, SubnetV4),
		Entry("the uplink's, where the route's is larger", 1400, func() {
			setMTU(s.Host, "uplink", 1400)
			routeMTU(s.Host, OutsideV4, 1480)
		}, SubnetV4),
		Entry("the uplink's of IPv6, on a host with nothing else", 1420, func() {
			setMTU(s.Host, "uplink", 1420)
			routeMTU(s.Host, OutsideV6, 0)
		}, SubnetV6),
		Entry("the smallest of both families", 1350, func() {
			secondUplink(s)
			setMTU(s.Host, "uplink", 1400)
			setMTU(s.Host, "uplink2", 1350)
			routeMTU(s.Host, OutsideV4, 0)
			routeMTU(s.Host, "2001:db8:c::9", 0)
		}, SubnetV4, SubnetV6),
		Entry("1500 without an uplink", 1500, func() { setMTU(s.Host, "uplink", 1400) }, SubnetV4),
	)

	It("auto follows the uplink with the next container, and the older one is as ADD made it", func() {
		setMTU(s.Host, "uplink", 1400)
		routeMTU(s.Host, OutsideV4, 0)
		c := s.Bridge(SubnetV4).With(Conf{"mtu": "auto"})
		old, oldResult := s.Attach(c)
		setMTU(s.Host, "uplink", 1300)
		b, result := s.Attach(c)
		expectMTU(s, b, result, 1300)
		ExpectOK("CHECK", s.Check(old, c, oldResult)) // a runtime restarts pods that differ
		setMTU(old.Space, "eth0", 1350)
		ExpectError(s.Check(old, c, oldResult), Drift, "mtu", "1350", "1400")
	})

	DescribeTable("below 1280 bytes is refused with IPv6, and nothing is left", func(mtu any) {
		routeMTU(s.Host, OutsideV4, 1279)
		c := s.Bridge(SubnetV4, SubnetV6)
		b, result := s.Attach(c)
		s.Settled()
		s.Del(b, c, result)
		before := s.Settled()
		late := s.Container()
		ExpectError(s.Call(late, "ADD", c.With(Conf{"mtu": mtu})), 7, "mtu", "1279", "1280", "IPv6")
		s.ExpectEqual(before)
		Expect(HasLink(late.Space, "eth0")).To(BeFalse())
	},
		Entry("as a number", 1279),
		Entry("as auto", "auto"),
	)

	It("below 1280 bytes works with IPv4 alone, and 1280 with IPv6", func() {
		c := s.Bridge(SubnetV4).With(Conf{"mtu": 1279})
		b, result := s.Attach(c)
		expectMTU(s, b, result, 1279)
		ExpectPing(b.Space, GatewayV4)
		c = s.Bridge(SubnetV4, SubnetV6).With(Conf{"mtu": 1280})
		b, result = s.Attach(c)
		expectMTU(s, b, result, 1280)
		ExpectPing(b.Space, GatewayV4, GatewayV6)
	})

	It("changes a bridge of ours, and leaves the older container working", func() {
		old, oldResult := s.Attach(s.Bridge(SubnetV4))
		c := s.Bridge(SubnetV4).With(Conf{"mtu": 1400})
		b, result := s.Attach(c)
		expectMTU(s, b, result, 1400)
		ExpectPing(old.Space, GatewayV4, SecondV4)
		ExpectPing(b.Space, GatewayV4, FirstV4)
		ExpectOK("CHECK", s.Check(old, c, oldResult))
	})

	It("leaves somebody else's bridge alone", func() {
		foreign(s, BridgeName, false)
		setMTU(s.Host, BridgeName, 1450) // from now on the kernel does not adapt it to the ports
		c := s.Bridge(SubnetV4).With(Conf{"mtu": 1400})
		b, result := s.Attach(c)
		Expect(Link(s.Host, BridgeName).Attrs().MTU).To(Equal(1450))
		Expect(Link(b.Space, "eth0").Attrs().MTU).To(Equal(1400))
		Expect(result.Interfaces[0].Mtu).To(Equal(1450))
		ExpectOK("CHECK", s.Check(b, c, result))
	})
})

// foreign is an administrator's own bridge.
func foreign(s *Stage, name string, vlans bool) {
	GinkgoHelper()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: net.HardwareAddr{2, 0xaa, 0, 0, 0, 1}, MTU: 1500}}
	if vlans {
		bridge.VlanFiltering = &vlans
	}
	Inside(s.Host, func() error {
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		return netlink.LinkSetUp(bridge)
	})
}
