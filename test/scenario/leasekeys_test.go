package scenario_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// lend attaches a container over the given ipam section and returns its addresses.
func (s *stage) lend(ipam conf, change conf) []string {
	GinkgoHelper()
	_, result := s.attach(s.bridge(subnetV4).with(conf{"ipam": ipam}).with(change))
	var list []string
	for _, ip := range result.IPs {
		list = append(list, ip.Address.String())
	}
	return list
}

// old is host-local in the form before ranges.
func (s *stage) old(keys conf) conf {
	return conf{"type": "host-local", "dataDir": s.data()}.with(keys)
}

var _ = Describe("configuration of host-local:", func() {
	var s *stage
	BeforeEach(func() { s = newStage() })

	It("ranges: one address from each set, the ranges of a set one after the other", func() {
		ipam := s.ipam().with(conf{"ranges": [][]conf{
			{
				{"subnet": "10.60.0.0/24", "rangeStart": "10.60.0.10", "rangeEnd": "10.60.0.11"},
				{"subnet": "10.60.1.0/24", "rangeStart": "10.60.1.5", "rangeEnd": "10.60.1.5"},
			},
			{{"subnet": subnetV6, "gateway": "fd60::9"}},
		}})
		for _, want := range [][]string{
			{"10.60.0.10/24", "fd60::1/64"},
			{"10.60.0.11/24", "fd60::2/64"},
			{"10.60.1.5/24", "fd60::3/64"},
		} {
			Expect(s.lend(ipam, conf{"isDefaultGateway": nil, "ipMasq": nil})).To(Equal(want))
		}
	})

	It("the form before ranges: subnet, rangeStart, rangeEnd, gateway", func() {
		ipam := s.old(conf{
			"subnet": subnetV4, "rangeStart": "10.60.0.100", "rangeEnd": "10.60.0.101", "gateway": "10.60.0.254",
		})
		b, result := s.attach(s.bridge(subnetV4).with(conf{"ipam": ipam}))
		Expect(result.IPs[0].Address.String()).To(Equal("10.60.0.100/24"))
		Expect(result.IPs[0].Gateway.String()).To(Equal("10.60.0.254"))
		Expect(addrs(s.host, bridgeName)).To(ConsistOf("10.60.0.254/24"))
		Expect(routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via 10.60.0.254"))
		Expect(s.lend(ipam, nil)).To(Equal([]string{"10.60.0.101/24"}))
	})

	It("subnet alone: the gateway is the first address, containers get the rest in turn", func() {
		ipam := s.old(conf{"subnet": subnetV4})
		Expect(s.lend(ipam, nil)).To(Equal([]string{firstV4 + "/24"}))
		Expect(s.lend(ipam, nil)).To(Equal([]string{secondV4 + "/24"}))
	})

	It("a gateway in the middle of the range is not handed out", func() {
		ipam := s.old(conf{"subnet": subnetV4, "rangeStart": gatewayV4, "gateway": "10.60.0.2"})
		Expect(s.lend(ipam, nil)).To(Equal([]string{"10.60.0.1/24"}))
		Expect(s.lend(ipam, nil)).To(Equal([]string{"10.60.0.3/24"}))
	})

	It("routes reach the container and the result", func() {
		ipam := s.ipam(subnetV4).with(conf{"routes": []conf{
			{"dst": "192.0.2.0/24"},
			{"dst": "198.51.100.0/24", "gw": "10.60.0.77"},
		}})
		b, result := s.attach(s.bridge(subnetV4).with(conf{"ipam": ipam, "isDefaultGateway": nil, "isGateway": true}))
		Expect(routes(b.Space, "eth0")).To(ConsistOf("192.0.2.0/24 via "+gatewayV4, "198.51.100.0/24 via 10.60.0.77"))
		Expect(result.Routes).To(HaveLen(2))
	})

	It("resolvConf is read into the result", func() {
		file := filepath.Join(s.dir, "resolv.conf")
		Expect(os.WriteFile(file, []byte("# a comment\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a.example b.example\noptions ndots:3\n"), 0o644)).To(Succeed())
		_, result := s.attach(s.bridge(subnetV4).with(conf{"ipam": s.ipam(subnetV4).with(conf{"resolvConf": file})}))
		Expect(result.DNS.Nameservers).To(Equal([]string{"192.0.2.1", "2001:db8::1"}))
		Expect(result.DNS.Search).To(Equal([]string{"a.example", "b.example"}))
		Expect(result.DNS.Options).To(Equal([]string{"ndots:3"}))
	})

	It("addresses are handed out in turn: a released one is not the next", func() {
		ipam := s.ipam(subnetV4)
		b, _ := s.attach(s.bridge(subnetV4))
		expectOK("DEL", s.call(b, "DEL", s.bridge(subnetV4)))
		Expect(s.lend(ipam, nil)).To(Equal([]string{secondV4 + "/24"}))
	})

	DescribeTable("a requested address", func(change conf, args string) {
		b := s.container()
		a := s.run(lab.Call{
			Plugin: "bridge", Command: "ADD", ContainerID: b.id, Netns: b.Path, IfName: "eth0", Args: args,
			Config: s.bridge(subnetV4).with(change).stdin(),
		})
		expectOK("ADD", a)
		Expect(a.Result.IPs[0].Address.String()).To(Equal("10.60.0.42/24"))
		Expect(addrs(b.Space, "eth0")).To(ConsistOf("10.60.0.42/24"))
	},
		Entry("by runtimeConfig.ips", conf{"runtimeConfig": conf{"ips": []string{"10.60.0.42"}}}, ""),
		Entry("by runtimeConfig.ips with a prefix length", conf{"runtimeConfig": conf{"ips": []string{"10.60.0.42/24"}}}, ""),
		Entry("by args.cni.ips", conf{"args": conf{"cni": conf{"ips": []string{"10.60.0.42"}}}}, ""),
		Entry("by CNI_ARGS", conf{}, "IP=10.60.0.42"),
		Entry("by CNI_ARGS beside other keys", conf{}, "IgnoreUnknown=1;COLOUR=red;IP=10.60.0.42"),
	)

	It("a requested address that is taken is refused, naming the holder", func() {
		change := conf{"runtimeConfig": conf{"ips": []string{"10.60.0.42"}}}
		holder, _ := s.attach(s.bridge(subnetV4).with(change))
		before := s.settled()
		b := s.container()
		expectError(s.call(b, "ADD", s.bridge(subnetV4).with(change)), 101, "10.60.0.42", holder.id)
		s.expectEqual(before)
	})

	It("runtimeConfig.ipRanges comes before ranges", func() {
		c := conf{"runtimeConfig": conf{"ipRanges": [][]conf{{{"subnet": "10.62.0.0/24"}}}}}
		Expect(s.lend(s.old(nil), c)).To(Equal([]string{"10.62.0.2/24"}))
	})

	It("lease files are those of the reference, to the byte", func() {
		b, _ := s.attach(s.bridge(subnetV4, subnetV6))
		for _, addr := range []string{firstV4, firstV6} {
			Expect(read(s.lease(addr))).To(Equal(b.id + "\r\neth0"))
			info, err := os.Stat(s.lease(addr))
			Expect(err).NotTo(HaveOccurred())
			Expect(info.Mode()).To(Equal(os.FileMode(0o600)))
		}
		Expect(read(s.lease("last_reserved_ip.0"))).To(Equal(firstV4))
		Expect(read(s.lease("last_reserved_ip.1"))).To(Equal(firstV6))
		names := []string{}
		entries, err := os.ReadDir(filepath.Join(s.data(), networkName))
		Expect(err).NotTo(HaveOccurred())
		for _, e := range entries {
			names = append(names, e.Name())
		}
		Expect(names).To(ConsistOf(firstV4, firstV6, "last_reserved_ip.0", "last_reserved_ip.1", "lock"))
	})
})
