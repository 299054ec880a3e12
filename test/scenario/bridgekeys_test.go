package scenario_test

import (
	"net"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/lab"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// attach runs bridge ADD with the configuration and wants it to work.
func (s *stage) attach(c conf) (*box, *types100.Result) {
	GinkgoHelper()
	b := s.container()
	a := s.call(b, "ADD", c)
	expectOK("ADD", a)
	return b, a.Result
}

var _ = Describe("configuration of bridge:", func() {
	var s *stage
	BeforeEach(func() { s = newStage() })

	It("bridge is cni0 by default", func() {
		_, result := s.attach(s.bridge(subnetV4).with(conf{"bridge": nil}))
		Expect(result.Interfaces[0].Name).To(Equal("cni0"))
		Expect(link(s.host, "cni0").Type()).To(Equal("bridge"))
	})

	It("isGateway puts the gateway on the bridge and forwards, without a default route", func() {
		b, _ := s.attach(s.bridge(subnetV4, subnetV6).with(conf{"isDefaultGateway": nil, "isGateway": true}))
		Expect(addrs(s.host, bridgeName)).To(ConsistOf(gatewayV4+"/24", gatewayV6+"/64"))
		Expect(s.host.Sysctl("net/ipv4/ip_forward")).To(Equal("1"))
		Expect(s.host.Sysctl("net/ipv6/conf/all/forwarding")).To(Equal("1"))
		Expect(routes(b.Space, "eth0")).To(BeEmpty())
		for _, gateway := range []string{gatewayV4, gatewayV6} {
			_, err := b.Ping(gateway, patience)
			Expect(err).NotTo(HaveOccurred())
		}
	})

	It("without isGateway the bridge has no address and nothing is forwarded", func() {
		b, _ := s.attach(s.bridge(subnetV4).with(conf{"isDefaultGateway": nil, "ipMasq": nil}))
		Expect(addrs(s.host, bridgeName)).To(BeEmpty())
		Expect(s.host.Sysctl("net/ipv4/ip_forward")).To(Equal("0"))
		neighbour, _ := s.attach(s.bridge(subnetV4).with(conf{"isDefaultGateway": nil, "ipMasq": nil}))
		_, err := b.Ping(addrsOf(neighbour.Space, "eth0")[0].IP.String(), patience)
		Expect(err).NotTo(HaveOccurred())
	})

	It("isDefaultGateway adds the default routes", func() {
		b, _ := s.attach(s.bridge(subnetV4, subnetV6))
		Expect(routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via "+gatewayV4, "::/0 via "+gatewayV6))
	})

	It("isDefaultGateway goes with a default route that host-local names", func() {
		ipam := s.ipam(subnetV4).with(conf{"routes": []conf{{"dst": "0.0.0.0/0"}}})
		b, _ := s.attach(s.bridge(subnetV4).with(conf{"ipam": ipam}))
		Expect(routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via " + gatewayV4))
	})

	It("mtu sets all three links", func() {
		b, result := s.attach(s.bridge(subnetV4).with(conf{"mtu": 1400}))
		Expect(link(b.Space, "eth0").Attrs().MTU).To(Equal(1400))
		for _, i := range result.Interfaces {
			Expect(i.Mtu).To(Equal(1400), i.Name)
			if i.Sandbox == "" {
				Expect(link(s.host, i.Name).Attrs().MTU).To(Equal(1400), i.Name)
			}
		}
	})

	It("hairpinMode and portIsolation are the host port's flags", func() {
		for _, on := range []bool{true, false} {
			_, result := s.attach(s.bridge(subnetV4).with(conf{"hairpinMode": on, "portIsolation": on}))
			flags := bridgePort(s.host, result.Interfaces[1].Name)
			Expect(flags.Hairpin).To(Equal(on))
			Expect(flags.Isolated).To(Equal(on))
		}
	})

	It("promiscMode is the bridge's", func() {
		s.attach(s.bridge(subnetV4).with(conf{"hairpinMode": nil, "promiscMode": true}))
		Expect(link(s.host, bridgeName).Attrs().RawFlags & unix.IFF_PROMISC).NotTo(BeZero())
	})

	It("disableContainerInterface leaves the container's end down", func() {
		b, _ := s.attach(s.bridge().with(conf{"disableContainerInterface": true}))
		Expect(link(b.Space, "eth0").Attrs().Flags & net.FlagUp).To(BeZero())
	})

	It("forceAddress replaces the address of another subnet", func() {
		foreignBridge(s, "10.99.0.1/24")
		s.attach(s.bridge(subnetV4).with(conf{"forceAddress": true}))
		Expect(addrs(s.host, bridgeName)).To(ConsistOf(gatewayV4 + "/24"))
	})

	It("ipMasq without ipam masquerades nothing and does no harm", func() {
		s.attach(s.bridge().with(conf{"ipMasq": true}))
	})

	It("dns of the network wins over the addresses' own", func() {
		_, result := s.attach(s.bridge(subnetV4).with(conf{"dns": dns}))
		Expect(result.DNS.Nameservers).To(Equal([]string{"192.0.2.53"}))
	})

	It("IPv6 addresses are usable when ADD returns, every time", func() {
		n := s.network(list(newest, s.bridge(subnetV4, subnetV6)))
		for range 25 {
			b := s.container()
			b.add(n)
			// A connection begun before takes another source, even ::1, and hangs.
			Expect(usable(b.Space, "eth0")).To(Succeed())
			b.del(n)
		}
	})

	DescribeTable("IPv6 addresses", func(enabledad bool) {
		Expect(s.host.SetSysctl(acceptDAD, "1")).To(Succeed()) // as on real hosts
		start := time.Now()
		b, _ := s.attach(s.bridge(subnetV6).with(conf{"enabledad": enabledad}))
		if !enabledad {
			Expect(time.Since(start)).To(BeNumerically("<", time.Second), "the time of a check for duplicates")
		}
		list := addrsOf(b.Space, "eth0")
		Expect(list).To(HaveLen(1))
		Expect(list[0].Flags & unix.IFA_F_TENTATIVE).To(BeZero())
		gateway := addrsOf(s.host, bridgeName)
		Expect(gateway).To(HaveLen(1))
		Expect(gateway[0].Flags & unix.IFA_F_TENTATIVE).To(BeZero())
	},
		Entry("are usable when ADD returns", false),
		Entry("are usable when ADD returns, checked for duplicates with enabledad", true),
	)
})

// The precedence is CNI_ARGS, then args.cni, then runtimeConfig.
var _ = DescribeTable("the container's MAC", func(env, args, runtime, want string) {
	s := newStage()
	b := s.container()
	c := s.bridge(subnetV4)
	if args != "" {
		c["args"] = conf{"cni": conf{"mac": args}}
	}
	if runtime != "" {
		c["runtimeConfig"] = conf{"mac": runtime}
	}
	call := lab.Call{Plugin: "bridge", Command: "ADD", ContainerID: b.id, Netns: b.Path, IfName: "eth0", Config: c.stdin()}
	if env != "" {
		call.Args = "MAC=" + env
	}
	a := s.run(call)
	expectOK("ADD", a)
	Expect(link(b.Space, "eth0").Attrs().HardwareAddr.String()).To(Equal(want))
	Expect(a.Result.Interfaces[2].Mac).To(Equal(want))
},
	Entry("from CNI_ARGS", "02:00:00:00:00:01", "", "", "02:00:00:00:00:01"),
	Entry("from args.cni", "", "02:00:00:00:00:02", "", "02:00:00:00:00:02"),
	Entry("from runtimeConfig", "", "", "02:00:00:00:00:03", "02:00:00:00:00:03"),
	Entry("from args.cni over CNI_ARGS", "02:00:00:00:00:01", "02:00:00:00:00:02", "", "02:00:00:00:00:02"),
	Entry("from runtimeConfig over both", "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03", "02:00:00:00:00:03"),
	Entry("in capitals", "", "", "02-00-00-00-00-AB", "02:00:00:00:00:ab"),
)

var _ = Describe("the bridge's MAC", func() {
	It("stays as containers come and go, and after the last one", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4)))
		a, b := s.container(), s.container()
		a.add(n)
		mac := link(s.host, bridgeName).Attrs().HardwareAddr.String()
		now := func() string { return link(s.host, bridgeName).Attrs().HardwareAddr.String() }
		b.add(n)
		Expect(now()).To(Equal(mac))
		a.del(n)
		Expect(now()).To(Equal(mac))
		b.del(n)
		Expect(now()).To(Equal(mac))
	})

	It("stays on an administrator's own bridge, and the bridge stays when all attachments went", func() {
		s := newStage()
		foreignBridge(s, gatewayV4+"/24")
		before := s.settled()
		n := s.network(list(newest, s.bridge(subnetV4).with(conf{"ipMasq": nil})))
		b := s.container()
		b.add(n)
		Expect(link(s.host, bridgeName).Attrs().HardwareAddr.String()).To(Equal("02:aa:00:00:00:01"))
		b.del(n)
		Expect(n.GC([]types.GCAttachment{})).To(Succeed())
		// His bridge stays, although no attachment does; that the host forwards was asked for.
		Expect(snapshot.Diff(before, s.snap())).NotTo(ContainElement(ContainSubstring(bridgeName + ":")))
		Expect(hasLink(s.host, bridgeName)).To(BeTrue())
	})
})
