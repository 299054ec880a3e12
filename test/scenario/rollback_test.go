package scenario_test

import (
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// ready is a stage after a first attachment, with the state at rest.
func ready() (*Stage, snapshot.Snapshot) {
	GinkgoHelper()
	s := newStage()
	return s, warm(s, s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6), Portmap())), webPorts()...)
}

var _ = Describe("a failed ADD leaves nothing:", func() {
	It("a port of another container is refused by the holder's name", func() {
		s, _ := ready()
		n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6), Portmap()))
		holder := s.Container()
		holder.Add(n, webPorts()...)
		for _, mine := range [][]map[string]any{
			{Port("tcp", 8080, 80)},
			{Port("tcp", 8079, 80), Port("udp", 8080, 80)}, // the first of them is free
		} {
			late := s.Container()
			attached := s.Call(late, "ADD", bridge(s, SubnetV4, SubnetV6))
			ExpectOK("ADD", attached)
			before := s.Settled()
			a := s.Call(late, "ADD", Conf{
				"type": "portmap", "prevResult": attached.Result, "runtimeConfig": Conf{"portMappings": mine},
			})
			ExpectError(a, 101, "8080", mine[len(mine)-1]["protocol"].(string), holder.ID)
			s.ExpectEqual(before)
		}
		Serve(holder.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	})

	It("a port of another container, and the runtime takes the rest back", func() {
		s, _ := ready()
		n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6), Portmap()))
		holder, late := s.Container(), s.Container()
		holder.Add(n, webPorts()...)
		before := s.Settled()
		_, err := n.Add(late.ID, late.Path, "eth0", webPorts())
		Expect(err).To(MatchError(ContainSubstring(holder.ID)))
		late.Del(n, webPorts()...)
		s.ExpectEqual(before)
		Expect(HasLink(late.Space, "eth0")).To(BeFalse())
	})

	It("a route that the kernel refuses", func() {
		s, before := ready()
		b := s.Container()
		ipam := s.IPAM(SubnetV4, SubnetV6).With(Conf{"routes": []Conf{{"dst": "192.0.2.0/24", "gw": GatewayV4, "scope": 254}}})
		a := s.Call(b, "ADD", bridge(s, SubnetV4, SubnetV6).With(Conf{"ipam": ipam}))
		ExpectError(a, 100, "192.0.2.0/24", GatewayV4)
		s.ExpectEqual(before)
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
	})

	It("an nft map of another type in the place of ours", func() {
		s := newStage()
		Rules(s.Host, func(c *nftables.Conn) error {
			c.AddTable(NAT)
			return c.AddSet(&nftables.Set{Table: NAT, Name: "masquerade4", KeyType: nftables.TypeIPAddr}, nil)
		})
		b := s.Container()
		a := s.Call(b, "ADD", bridge(s, SubnetV4))
		Expect(a.Err).NotTo(BeNil(), "stdout: %s", a.Stdout)
		ExpectError(a, a.Err.Code)
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
		for key := range s.Snap() {
			Expect(key).NotTo(Or(ContainSubstring("veth"), HavePrefix("file leases")))
		}
	})

	DescribeTable("a result that the version of the specification can't tell", func(version string) {
		s, before := ready()
		b := s.Container()
		a := s.Call(b, "ADD", bridge(s).With(Conf{"cniVersion": version}))
		ExpectError(a, 1, version)
		s.ExpectEqual(before)
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
	}, Entry("0.1.0", "0.1.0"), Entry("0.2.0", "0.2.0"))

	It("two addresses of a family in a version that knows one", func() {
		s, before := ready()
		b := s.Container()
		a := s.Call(b, "ADD", bridge(s, SubnetV4, "10.62.0.0/24").With(Conf{"cniVersion": "0.2.0"}))
		Expect(a.Exit).NotTo(BeZero())
		ExpectError(a, a.Err.Code, "0.2.0")
		s.ExpectEqual(before)
	})

	It("an IPAM plugin that is not there", func() {
		s, before := ready()
		b := s.Container()
		a := s.Call(b, "ADD", bridge(s).With(Conf{"ipam": Conf{"type": "no-such-ipam"}}))
		Expect(a.Exit).NotTo(BeZero())
		ExpectError(a, a.Err.Code, "no-such-ipam")
		s.ExpectEqual(before)
	})

	It("and the next try of the same container works", func() {
		s, _ := ready()
		b := s.Container()
		bad := s.IPAM(SubnetV4).With(Conf{"routes": []Conf{{"dst": "192.0.2.0/24", "gw": GatewayV4, "scope": 254}}})
		Expect(s.Call(b, "ADD", bridge(s, SubnetV4).With(Conf{"ipam": bad})).Exit).NotTo(BeZero())
		ExpectOK("ADD", s.Call(b, "ADD", bridge(s, SubnetV4)))
		_, err := b.Ping(GatewayV4, Patience)
		Expect(err).NotTo(HaveOccurred())
	})
})
