package features_test

import (
	"net"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

var _ = Describe("routes:", func() {
	var s *Stage
	BeforeEach(func() { s = NewStage(GinkgoT()) })

	// named is a network whose IPAM plugin names routes, default ones among them.
	named := func() Conf {
		ipam := s.IPAM(SubnetV4, SubnetV6).With(Conf{"routes": []Conf{
			{"dst": "0.0.0.0/0"}, {"dst": "::/0"}, {"dst": "192.0.2.0/24"}, {"dst": "2001:db8:7::/64", "priority": 77},
		}})
		return s.Bridge().With(Conf{"isGateway": true, "ipam": ipam})
	}

	It("noDefaultRoute leaves the default ones out and keeps the others", func() {
		c := named().With(Conf{"noDefaultRoute": true})
		b, result := s.Attach(c)
		Expect(Routes(b.Space, "eth0")).To(ConsistOf("192.0.2.0/24 via "+GatewayV4, "2001:db8:7::/64 via "+GatewayV6+" metric 77"))
		Expect(result.Routes).To(HaveLen(2))
		ExpectOK("CHECK", s.Check(b, c, result))
	})

	It("noDefaultRoute lets a second network of the container be", func() {
		b, first := s.Attach(s.Bridge(SubnetV4))
		second := named().With(Conf{"name": "storage", "bridge": "storage0", "noDefaultRoute": true, "ipam": s.IPAM("10.61.0.0/24").With(Conf{
			"routes": []Conf{{"dst": "0.0.0.0/0"}},
		})})
		a := s.CallAs(b, "net1", "ADD", second)
		ExpectOK("ADD", a)
		Expect(Routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via " + GatewayV4))
		Expect(Routes(b.Space, "net1")).To(BeEmpty())
		ExpectPing(b.Space, GatewayV4, "10.61.0.1")
		ExpectOK("CHECK", s.Check(b, s.Bridge(SubnetV4), first))
	})

	It("a gateway of IPv6 may be a link-local address", func() {
		ipam := s.IPAM().With(Conf{"ranges": [][]Conf{{{"subnet": "fd60::/80", "gateway": "fe80::1"}}}})
		c := s.Bridge().With(Conf{"isDefaultGateway": true, "ipam": ipam})
		b, result := s.Attach(c)
		Expect(Routes(b.Space, "eth0")).To(ConsistOf("::/0 via fe80::1"))
		_, subnet, err := net.ParseCIDR("fd60::/80")
		Expect(err).NotTo(HaveOccurred())
		Change(s.Host, BridgeName, func(l netlink.Link) error { // the gateway's subnet gives the host no way back
			return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: subnet})
		})
		ExpectPing(b.Space, HostV6)
		ExpectOK("CHECK", s.Check(b, c, result))
		other := c.With(Conf{"name": "other", "ipam": s.IPAM().With(Conf{"ranges": [][]Conf{{{"subnet": "fd61::/64", "gateway": "fe80::1"}}}})})
		two, twoResult := s.Attach(other)
		ExpectOK("CHECK", s.Check(two, other, twoResult))
		Change(b.Space, "eth0", func(l netlink.Link) error {
			all := &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
			return netlink.RouteDel(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: all})
		})
		ExpectError(s.Check(b, c, result), Drift, "default")
	})

	It("noDefaultRoute contradicts isDefaultGateway", func() {
		b := s.Container()
		ExpectError(s.Call(b, "ADD", s.Bridge(SubnetV4).With(Conf{"noDefaultRoute": true})), 7, "noDefaultRoute", "isDefaultGateway")
	})

	It("routeMetric is the metric of those that name none", func() {
		c := named().With(Conf{"isDefaultGateway": true, "routeMetric": 200})
		b, result := s.Attach(c)
		Expect(Routes(b.Space, "eth0")).To(ConsistOf(
			"0.0.0.0/0 via "+GatewayV4+" metric 200", "::/0 via "+GatewayV6+" metric 200",
			"192.0.2.0/24 via "+GatewayV4+" metric 200", "2001:db8:7::/64 via "+GatewayV6+" metric 77",
		))
		ExpectOK("CHECK", s.Check(b, c, result))
	})

	It("routeMetric lets two networks have a default route, and the smaller metric wins", func() {
		Serve(s.Outside, "tcp", 7000)
		b := s.Container()
		dear := s.Bridge("10.61.0.0/24").With(Conf{"name": "dear", "bridge": "dear0", "routeMetric": 500, "ipMasq": nil})
		cheap := s.Bridge(SubnetV4).With(Conf{"routeMetric": 100})
		ExpectOK("ADD", s.CallAs(b, "net1", "ADD", dear))
		added := s.CallAs(b, "eth0", "ADD", cheap)
		ExpectOK("ADD", added)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4) // by the one that masquerades
		s.Del(b, cheap, added.Result)
		Expect(Routes(b.Space, "net1")).To(ConsistOf("0.0.0.0/0 via 10.61.0.1 metric 500"))
	})

	It("CHECK tells a route whose metric was changed", func() {
		c := s.Bridge(SubnetV4).With(Conf{"routeMetric": 200})
		b, result := s.Attach(c)
		Change(b.Space, "eth0", func(l netlink.Link) error {
			all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
			old := netlink.Route{LinkIndex: l.Attrs().Index, Dst: all, Gw: net.ParseIP(GatewayV4), Priority: 200}
			if err := netlink.RouteDel(&old); err != nil {
				return err
			}
			old.Priority = 300
			return netlink.RouteAdd(&old)
		})
		ExpectError(s.Check(b, c, result), Drift, "default", "200")
	})
})

var _ = Describe("gateways without ipam", func() {
	var (
		s *Stage
		c Conf
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		c = s.Bridge().With(Conf{"gateways": []string{GatewayV4 + "/24", GatewayV6 + "/64"}})
	})

	It("give the bridge addresses that a container with addresses of its own can use", func() {
		b, result := s.Attach(c)
		Expect(result.IPs).To(BeEmpty())
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(GatewayV4+"/24", GatewayV6+"/64"))
		Expect(s.Host.Sysctl("net/ipv4/ip_forward")).To(Equal("1"))
		Expect(s.Host.Sysctl("net/ipv6/conf/all/forwarding")).To(Equal("1"))
		Expect(Addrs(b.Space, "eth0")).To(BeEmpty())
		for _, own := range []string{"10.60.0.77/24", "fd60::77/64"} {
			Change(b.Space, "eth0", func(l netlink.Link) error { return netlink.AddrAdd(l, ParseAddr(own)) })
		}
		ExpectPing(b.Space, GatewayV4, GatewayV6)
		ExpectOK("CHECK", s.Check(b, c, result))
	})

	It("CHECK names one that was deleted", func() {
		b, result := s.Attach(c)
		Change(s.Host, BridgeName, func(l netlink.Link) error { return netlink.AddrDel(l, ParseAddr(GatewayV6+"/64")) })
		ExpectError(s.Check(b, c, result), Drift, BridgeName, GatewayV6)
	})

	It("are gone after DEL and GC", func() {
		virgin := s.Settled()
		b, result := s.Attach(c)
		s.Settled()
		s.Del(b, c, result)
		s.GC(c)
		s.ExpectEqual(virgin)
	})

	It("are refused with ipam, and as addresses without a subnet", func() {
		b := s.Container()
		ExpectError(s.Call(b, "ADD", c.With(Conf{"ipam": s.IPAM(SubnetV4)})), 7, "gateways", "ipam")
		ExpectError(s.Call(b, "ADD", c.With(Conf{"gateways": []string{GatewayV4}})), 7, "gateways[0]", GatewayV4)
	})
})
