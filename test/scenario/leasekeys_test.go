package scenario_test

import (
	"os"
	"path/filepath"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// lend attaches a container over the given ipam section and returns its addresses.
func lend(s *Stage, ipam Conf, change Conf) []string {
	GinkgoHelper()
	_, result := s.Attach(bridge(s, SubnetV4).With(Conf{"ipam": ipam}).With(change))
	var list []string
	for _, ip := range result.IPs {
		list = append(list, ip.Address.String())
	}
	return list
}

// old is host-local in the form before ranges.
func old(s *Stage, keys Conf) Conf {
	return Conf{"type": "host-local", "dataDir": s.Data()}.With(keys)
}

var _ = Describe("configuration of host-local:", func() {
	var s *Stage
	BeforeEach(func() { s = newStage() })

	It("ranges: one address from each set, the ranges of a set one after the other", func() {
		ipam := s.IPAM().With(Conf{"ranges": [][]Conf{
			{
				{"subnet": "10.60.0.0/24", "rangeStart": "10.60.0.10", "rangeEnd": "10.60.0.11"},
				{"subnet": "10.60.1.0/24", "rangeStart": "10.60.1.5", "rangeEnd": "10.60.1.5"},
			},
			{{"subnet": SubnetV6, "gateway": "fd60::9"}},
		}})
		for _, want := range [][]string{
			{"10.60.0.10/24", "fd60::1/64"},
			{"10.60.0.11/24", "fd60::2/64"},
			{"10.60.1.5/24", "fd60::3/64"},
		} {
			Expect(lend(s, ipam, Conf{"isDefaultGateway": nil, "ipMasq": nil})).To(Equal(want))
		}
	})

	It("the form before ranges: subnet, rangeStart, rangeEnd, gateway", func() {
		ipam := old(s, Conf{
			"subnet": SubnetV4, "rangeStart": "10.60.0.100", "rangeEnd": "10.60.0.101", "gateway": "10.60.0.254",
		})
		b, result := s.Attach(bridge(s, SubnetV4).With(Conf{"ipam": ipam}))
		Expect(result.IPs[0].Address.String()).To(Equal("10.60.0.100/24"))
		Expect(result.IPs[0].Gateway.String()).To(Equal("10.60.0.254"))
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf("10.60.0.254/24"))
		Expect(Routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via 10.60.0.254"))
		Expect(lend(s, ipam, nil)).To(Equal([]string{"10.60.0.101/24"}))
	})

	It("subnet alone: the gateway is the first address, containers get the rest in turn", func() {
		ipam := old(s, Conf{"subnet": SubnetV4})
		Expect(lend(s, ipam, nil)).To(Equal([]string{FirstV4 + "/24"}))
		Expect(lend(s, ipam, nil)).To(Equal([]string{SecondV4 + "/24"}))
	})

	It("a gateway in the middle of the range is not handed out", func() {
		ipam := old(s, Conf{"subnet": SubnetV4, "rangeStart": GatewayV4, "gateway": "10.60.0.2"})
		Expect(lend(s, ipam, nil)).To(Equal([]string{"10.60.0.1/24"}))
		Expect(lend(s, ipam, nil)).To(Equal([]string{"10.60.0.3/24"}))
	})

	It("routes reach the container and the result", func() {
		ipam := s.IPAM(SubnetV4).With(Conf{"routes": []Conf{
			{"dst": "192.0.2.0/24"},
			{"dst": "198.51.100.0/24", "gw": "10.60.0.77"},
		}})
		b, result := s.Attach(bridge(s, SubnetV4).With(Conf{"ipam": ipam, "isDefaultGateway": nil, "isGateway": true}))
		Expect(Routes(b.Space, "eth0")).To(ConsistOf("192.0.2.0/24 via "+GatewayV4, "198.51.100.0/24 via 10.60.0.77"))
		Expect(result.Routes).To(HaveLen(2))
	})

	It("resolvConf is read into the result", func() {
		file := filepath.Join(s.Dir, "resolv.conf")
		Expect(os.WriteFile(file, []byte("# a comment\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a.example b.example\noptions ndots:3\n"), 0o644)).To(Succeed())
		_, result := s.Attach(bridge(s, SubnetV4).With(Conf{"ipam": s.IPAM(SubnetV4).With(Conf{"resolvConf": file})}))
		Expect(result.DNS.Nameservers).To(Equal([]string{"192.0.2.1", "2001:db8::1"}))
		Expect(result.DNS.Search).To(Equal([]string{"a.example", "b.example"}))
		Expect(result.DNS.Options).To(Equal([]string{"ndots:3"}))
	})

	It("addresses are handed out in turn: a released one is not the next", func() {
		ipam := s.IPAM(SubnetV4)
		b, _ := s.Attach(bridge(s, SubnetV4))
		ExpectOK("DEL", s.Call(b, "DEL", bridge(s, SubnetV4)))
		Expect(lend(s, ipam, nil)).To(Equal([]string{SecondV4 + "/24"}))
	})

	DescribeTable("a requested address", func(change Conf, args string) {
		b := s.Container()
		a := s.Run(Call{
			Plugin: "bridge", Command: "ADD", ContainerID: b.ID, Netns: b.Path, IfName: "eth0", Args: args,
			Config: bridge(s, SubnetV4).With(change).Stdin(),
		})
		ExpectOK("ADD", a)
		Expect(a.Result.IPs[0].Address.String()).To(Equal("10.60.0.42/24"))
		Expect(Addrs(b.Space, "eth0")).To(ConsistOf("10.60.0.42/24"))
	},
		Entry("by runtimeConfig.ips", Conf{"runtimeConfig": Conf{"ips": []string{"10.60.0.42"}}}, ""),
		Entry("by runtimeConfig.ips with a prefix length", Conf{"runtimeConfig": Conf{"ips": []string{"10.60.0.42/24"}}}, ""),
		Entry("by args.cni.ips", Conf{"args": Conf{"cni": Conf{"ips": []string{"10.60.0.42"}}}}, ""),
		Entry("by CNI_ARGS", Conf{}, "IP=10.60.0.42"),
		Entry("by CNI_ARGS beside other keys", Conf{}, "IgnoreUnknown=1;COLOUR=red;IP=10.60.0.42"),
	)

	It("a requested address that is taken is refused, naming the holder", func() {
		change := Conf{"runtimeConfig": Conf{"ips": []string{"10.60.0.42"}}}
		holder, _ := s.Attach(bridge(s, SubnetV4).With(change))
		before := s.Settled()
		b := s.Container()
		ExpectError(s.Call(b, "ADD", bridge(s, SubnetV4).With(change)), 101, "10.60.0.42", holder.ID)
		s.ExpectEqual(before)
	})

	It("runtimeConfig.ipRanges comes before ranges", func() {
		c := Conf{"runtimeConfig": Conf{"ipRanges": [][]Conf{{{"subnet": "10.62.0.0/24"}}}}}
		Expect(lend(s, old(s, nil), c)).To(Equal([]string{"10.62.0.2/24"}))
	})

	It("lease files are those of the reference, to the byte", func() {
		b, _ := s.Attach(bridge(s, SubnetV4, SubnetV6))
		for _, addr := range []string{FirstV4, FirstV6} {
			Expect(Read(GinkgoT(), s.Lease(addr))).To(Equal(b.ID + "\r\neth0"))
			info, err := os.Stat(s.Lease(addr))
			Expect(err).NotTo(HaveOccurred())
			Expect(info.Mode()).To(Equal(os.FileMode(0o600)))
		}
		Expect(Read(GinkgoT(), s.Lease("last_reserved_ip.0"))).To(Equal(FirstV4))
		Expect(Read(GinkgoT(), s.Lease("last_reserved_ip.1"))).To(Equal(FirstV6))
		names := []string{}
		entries, err := os.ReadDir(filepath.Join(s.Data(), NetworkName))
		Expect(err).NotTo(HaveOccurred())
		for _, e := range entries {
			names = append(names, e.Name())
		}
		Expect(names).To(ConsistOf(FirstV4, FirstV6, "last_reserved_ip.0", "last_reserved_ip.1", "lock"))
	})
})
