package delegation_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("the reference's static gives", func() {
	var s *Stage
	BeforeEach(func() { s = newStage("static") })

	conf := func(ipam Conf) Conf {
		return s.Bridge().With(Conf{"isDefaultGateway": true, "ipMasq": true, "ipam": Conf{"type": "static"}.With(ipam)})
	}
	both := Conf{
		"addresses": []Conf{{"address": "10.60.0.50/24", "gateway": GatewayV4}, {"address": "fd60::50/64"}},
		"routes":    []Conf{{"dst": "192.0.2.0/24"}},
		"dns":       Conf{"nameservers": []string{"192.0.2.53"}},
	}

	It("addresses, routes and DNS settings, and the way out works", func() {
		c := conf(both)
		virgin := s.Settled()
		b, result := s.Attach(c)
		Expect(Addrs(b.Space, "eth0")).To(ConsistOf("10.60.0.50/24", "fd60::50/64"))
		Expect(Routes(b.Space, "eth0")).To(ConsistOf(
			"0.0.0.0/0 via "+GatewayV4, "::/0 via "+GatewayV6, "192.0.2.0/24 via "+GatewayV4))
		Expect(result.DNS.Nameservers).To(Equal([]string{"192.0.2.53"}))
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
		ExpectSeen(b.Space, "tcp", OutsideV6, "7000", HostV6)
		ExpectOK("CHECK", s.Check(b, c, result))
		ExpectOK("STATUS", s.Status(c))
		s.Del(b, c, result)
		s.GC(c)
		s.ExpectEqual(virgin)
	})

	It("the addresses of the runtime", func() {
		c := conf(nil).With(Conf{"capabilities": Conf{"ips": true}, "runtimeConfig": Conf{"ips": []string{"10.60.0.51/24"}}})
		b, result := s.Attach(c)
		Expect(Addrs(b.Space, "eth0")).To(ConsistOf("10.60.0.51/24"))
		ExpectPing(b.Space, GatewayV4)
		s.Del(b, c, result)
	})

	It("the address in CNI_ARGS", func() {
		b := s.Container()
		a := s.Run(Call{
			Plugin: "bridge", Command: "ADD", ContainerID: b.ID, Netns: b.Path, IfName: "eth0",
			Args: "IgnoreUnknown=1;IP=10.60.0.52/24;GATEWAY=" + GatewayV4, Config: conf(nil).Stdin(),
		})
		ExpectOK("ADD", a)
		Expect(Addrs(b.Space, "eth0")).To(ConsistOf("10.60.0.52/24"))
		ExpectPing(b.Space, GatewayV4)
	})

	DescribeTable("a gateway that can't work, and ADD says so and leaves nothing", func(ipam Conf, says ...string) {
		c := conf(ipam).With(Conf{"isDefaultGateway": nil, "isGateway": true})
		b := s.Container()
		ExpectError(s.Call(b, "ADD", c), 7, append(says, "ipam: gateway")...)
		Expect(Addrs(s.Host, BridgeName)).To(BeEmpty())
		Expect(Links(b.Space)).To(HaveLen(1)) // lo
	},
		Entry("the container's own", Conf{"addresses": []Conf{{"address": "10.60.0.50/24", "gateway": "10.60.0.50"}}}, "10.60.0.50"),
		Entry("out of reach", Conf{"addresses": []Conf{{"address": "10.60.0.50/32", "gateway": "10.9.0.1"}}}, "10.9.0.1"),
		Entry("none, and no room", Conf{"addresses": []Conf{{"address": "10.60.0.50/32"}}}, "10.60.0.50/32"),
	)

	It("a gateway outside the subnet that a route reaches", func() {
		c := conf(Conf{
			"addresses": []Conf{{"address": "10.60.0.50/32", "gateway": "169.254.1.1"}, {"address": "fd60::50/64", "gateway": "fe80::1"}},
			"routes":    []Conf{{"dst": "169.254.1.1/32", "scope": 253}},
		})
		b, result := s.Attach(c)
		Expect(Routes(b.Space, "eth0")).To(ContainElements("0.0.0.0/0 via 169.254.1.1", "::/0 via fe80::1"))
		ExpectOK("CHECK", s.Check(b, c, result))
	})

	It("nothing, and its error is told", func() {
		a := s.Call(s.Container(), "ADD", conf(Conf{"addresses": []Conf{{"address": "10.60.0.50"}}}))
		Expect(a.Err).NotTo(BeNil(), "%s", a.Stdout)
		ExpectError(a, a.Err.Code, "static", "10.60.0.50")
	})
})
