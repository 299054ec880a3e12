package scenario_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/google/nftables"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// ready is a stage after a first attachment, with the state at rest.
func ready() (*stage, snapshot.Snapshot) {
	GinkgoHelper()
	s := newStage()
	return s, s.warm(s.network(list(newest, s.bridge(subnetV4, subnetV6), portmap())), webPorts()...)
}

var _ = Describe("a failed ADD leaves nothing:", func() {
	It("a port of another container is refused by the holder's name", func() {
		s, _ := ready()
		n := s.network(list(newest, s.bridge(subnetV4, subnetV6), portmap()))
		holder := s.container()
		holder.add(n, webPorts()...)
		for _, mine := range [][]map[string]any{
			{port("tcp", 8080, 80)},
			{port("tcp", 8079, 80), port("udp", 8080, 80)}, // the first of them is free
		} {
			late := s.container()
			attached := s.call(late, "ADD", s.bridge(subnetV4, subnetV6))
			expectOK("ADD", attached)
			before := s.settled()
			a := s.call(late, "ADD", conf{
				"type": "portmap", "prevResult": attached.Result, "runtimeConfig": conf{"portMappings": mine},
			})
			expectError(a, 101, "8080", mine[len(mine)-1]["protocol"].(string), holder.id)
			s.expectEqual(before)
		}
		serve(holder.Space, "tcp", 80)
		expectSeen(s.outside, "tcp", hostV4, "8080", outsideV4)
	})

	It("a port of another container, and the runtime takes the rest back", func() {
		s, _ := ready()
		n := s.network(list(newest, s.bridge(subnetV4, subnetV6), portmap()))
		holder, late := s.container(), s.container()
		holder.add(n, webPorts()...)
		before := s.settled()
		_, err := n.Add(late.id, late.Path, "eth0", webPorts())
		Expect(err).To(MatchError(ContainSubstring(holder.id)))
		late.del(n, webPorts()...)
		s.expectEqual(before)
		Expect(hasLink(late.Space, "eth0")).To(BeFalse())
	})

	It("a route that the kernel refuses", func() {
		s, before := ready()
		b := s.container()
		ipam := s.ipam(subnetV4, subnetV6).with(conf{"routes": []conf{{"dst": "192.0.2.0/24", "gw": "198.51.100.1"}}})
		a := s.call(b, "ADD", s.bridge(subnetV4, subnetV6).with(conf{"ipam": ipam}))
		expectError(a, 100, "192.0.2.0/24", "198.51.100.1")
		s.expectEqual(before)
		Expect(hasLink(b.Space, "eth0")).To(BeFalse())
	})

	It("an nft map of another type in the place of ours", func() {
		s := newStage()
		nft(s.host, func(c *nftables.Conn) error {
			c.AddTable(table)
			return c.AddSet(&nftables.Set{Table: table, Name: "masquerade4", KeyType: nftables.TypeIPAddr}, nil)
		})
		b := s.container()
		a := s.call(b, "ADD", s.bridge(subnetV4))
		Expect(a.Err).NotTo(BeNil(), "stdout: %s", a.Stdout)
		expectError(a, a.Err.Code)
		Expect(hasLink(b.Space, "eth0")).To(BeFalse())
		for key := range s.snap() {
			Expect(key).NotTo(Or(ContainSubstring("veth"), HavePrefix("file leases")))
		}
	})

	DescribeTable("a result that the version of the specification can't tell", func(version string) {
		s, before := ready()
		b := s.container()
		a := s.call(b, "ADD", s.bridge().with(conf{"cniVersion": version}))
		expectError(a, 1, version)
		s.expectEqual(before)
		Expect(hasLink(b.Space, "eth0")).To(BeFalse())
	}, Entry("0.1.0", "0.1.0"), Entry("0.2.0", "0.2.0"))

	It("two addresses of a family in a version that knows one", func() {
		s, before := ready()
		b := s.container()
		a := s.call(b, "ADD", s.bridge(subnetV4, "10.62.0.0/24").with(conf{"cniVersion": "0.2.0"}))
		Expect(a.Exit).NotTo(BeZero())
		expectError(a, a.Err.Code, "0.2.0")
		s.expectEqual(before)
	})

	It("an IPAM plugin that is not there", func() {
		s, before := ready()
		b := s.container()
		a := s.call(b, "ADD", s.bridge().with(conf{"ipam": conf{"type": "no-such-ipam"}}))
		Expect(a.Exit).NotTo(BeZero())
		expectError(a, a.Err.Code, "no-such-ipam")
		s.expectEqual(before)
	})

	It("and the next try of the same container works", func() {
		s, _ := ready()
		b := s.container()
		bad := s.ipam(subnetV4).with(conf{"routes": []conf{{"dst": "192.0.2.0/24", "gw": "198.51.100.1"}}})
		Expect(s.call(b, "ADD", s.bridge(subnetV4).with(conf{"ipam": bad})).Exit).NotTo(BeZero())
		expectOK("ADD", s.call(b, "ADD", s.bridge(subnetV4)))
		_, err := b.Ping(gatewayV4, patience)
		Expect(err).NotTo(HaveOccurred())
	})
})
