package scenario_test

import (
	"net"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/pkg/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

var _ = Describe("configuration of bridge:", func() {
	var s *Stage
	BeforeEach(func() { s = newStage() })

	It("bridge is cni0 by default", func() {
		_, result := s.Attach(bridge(s, SubnetV4).With(Conf{"bridge": nil}))
		Expect(result.Interfaces[0].Name).To(Equal("cni0"))
		Expect(Link(s.Host, "cni0").Type()).To(Equal("bridge"))
	})

	It("isGateway puts the gateway on the bridge and forwards, without a default route", func() {
		b, _ := s.Attach(bridge(s, SubnetV4, SubnetV6).With(Conf{"isDefaultGateway": nil, "isGateway": true}))
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(GatewayV4+"/24", GatewayV6+"/64"))
		Expect(s.Host.Sysctl("net/ipv4/ip_forward")).To(Equal("1"))
		Expect(s.Host.Sysctl("net/ipv6/conf/all/forwarding")).To(Equal("1"))
		Expect(Routes(b.Space, "eth0")).To(BeEmpty())
		for _, gateway := range []string{GatewayV4, GatewayV6} {
			_, err := b.Ping(gateway, Patience)
			Expect(err).NotTo(HaveOccurred())
		}
	})

	It("without isGateway the bridge has no address and nothing is forwarded", func() {
		b, _ := s.Attach(bridge(s, SubnetV4).With(Conf{"isDefaultGateway": nil, "ipMasq": nil}))
		Expect(Addrs(s.Host, BridgeName)).To(BeEmpty())
		Expect(s.Host.Sysctl("net/ipv4/ip_forward")).To(Equal("0"))
		neighbour, _ := s.Attach(bridge(s, SubnetV4).With(Conf{"isDefaultGateway": nil, "ipMasq": nil}))
		_, err := b.Ping(AddrList(neighbour.Space, "eth0")[0].IP.String(), Patience)
		Expect(err).NotTo(HaveOccurred())
	})

	It("isDefaultGateway adds the default routes", func() {
		b, _ := s.Attach(bridge(s, SubnetV4, SubnetV6))
		Expect(Routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via "+GatewayV4, "::/0 via "+GatewayV6))
	})

	It("isDefaultGateway goes with a default route that host-local names", func() {
		ipam := s.IPAM(SubnetV4).With(Conf{"routes": []Conf{{"dst": "0.0.0.0/0"}}})
		b, _ := s.Attach(bridge(s, SubnetV4).With(Conf{"ipam": ipam}))
		Expect(Routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via " + GatewayV4))
	})

	It("mtu sets all three links", func() {
		b, result := s.Attach(bridge(s, SubnetV4).With(Conf{"mtu": 1400}))
		Expect(Link(b.Space, "eth0").Attrs().MTU).To(Equal(1400))
		for _, i := range result.Interfaces {
			Expect(i.Mtu).To(Equal(1400), i.Name)
			if i.Sandbox == "" {
				Expect(Link(s.Host, i.Name).Attrs().MTU).To(Equal(1400), i.Name)
			}
		}
	})

	It("hairpinMode and portIsolation are the host port's flags", func() {
		for _, on := range []bool{true, false} {
			_, result := s.Attach(bridge(s, SubnetV4).With(Conf{"hairpinMode": on, "portIsolation": on}))
			flags := bridgePort(s.Host, result.Interfaces[1].Name)
			Expect(flags.Hairpin).To(Equal(on))
			Expect(flags.Isolated).To(Equal(on))
		}
	})

	It("promiscMode is the bridge's", func() {
		s.Attach(bridge(s, SubnetV4).With(Conf{"hairpinMode": nil, "promiscMode": true}))
		Expect(Link(s.Host, BridgeName).Attrs().RawFlags & unix.IFF_PROMISC).NotTo(BeZero())
	})

	It("disableContainerInterface leaves the container's end down", func() {
		b, _ := s.Attach(bridge(s).With(Conf{"disableContainerInterface": true}))
		Expect(Link(b.Space, "eth0").Attrs().Flags & net.FlagUp).To(BeZero())
	})

	It("forceAddress replaces the address of another subnet", func() {
		foreignBridge(s, "10.99.0.1/24")
		s.Attach(bridge(s, SubnetV4).With(Conf{"forceAddress": true}))
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(GatewayV4 + "/24"))
	})

	It("ipMasq without ipam masquerades nothing and does no harm", func() {
		s.Attach(bridge(s).With(Conf{"ipMasq": true}))
	})

	It("dns of the network wins over the addresses' own", func() {
		_, result := s.Attach(bridge(s, SubnetV4).With(Conf{"dns": dns}))
		Expect(result.DNS.Nameservers).To(Equal([]string{"192.0.2.53"}))
	})

	It("IPv6 addresses are usable when ADD returns, every time", func() {
		n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6)))
		for range 25 {
			b := s.Container()
			b.Add(n)
			// A connection begun before takes another source, even ::1, and hangs.
			Expect(b.Usable("eth0")).To(Succeed())
			b.Del(n)
		}
	})

	DescribeTable("IPv6 addresses", func(enabledad bool) {
		Expect(s.Host.SetSysctl("net/ipv6/conf/default/accept_dad", "1")).To(Succeed()) // as on real hosts
		start := time.Now()
		b, _ := s.Attach(bridge(s, SubnetV6).With(Conf{"enabledad": enabledad}))
		if !enabledad {
			Expect(time.Since(start)).To(BeNumerically("<", time.Second), "the time of a check for duplicates")
		}
		list := AddrList(b.Space, "eth0")
		Expect(list).To(HaveLen(1))
		Expect(list[0].Flags & unix.IFA_F_TENTATIVE).To(BeZero())
		gateway := AddrList(s.Host, BridgeName)
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
	b := s.Container()
	c := bridge(s, SubnetV4)
	if args != "" {
		c["args"] = Conf{"cni": Conf{"mac": args}}
	}
	if runtime != "" {
		c["runtimeConfig"] = Conf{"mac": runtime}
	}
	call := Call{Plugin: "bridge", Command: "ADD", ContainerID: b.ID, Netns: b.Path, IfName: "eth0", Config: c.Stdin()}
	if env != "" {
		call.Args = "MAC=" + env
	}
	a := s.Run(call)
	ExpectOK("ADD", a)
	Expect(Link(b.Space, "eth0").Attrs().HardwareAddr.String()).To(Equal(want))
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
		n := s.Network(list(Newest, bridge(s, SubnetV4)))
		a, b := s.Container(), s.Container()
		a.Add(n)
		mac := Link(s.Host, BridgeName).Attrs().HardwareAddr.String()
		now := func() string { return Link(s.Host, BridgeName).Attrs().HardwareAddr.String() }
		b.Add(n)
		Expect(now()).To(Equal(mac))
		a.Del(n)
		Expect(now()).To(Equal(mac))
		b.Del(n)
		Expect(now()).To(Equal(mac))
	})

	It("stays on an administrator's own bridge, and the bridge stays when all attachments went", func() {
		s := newStage()
		foreignBridge(s, GatewayV4+"/24")
		before := s.Settled()
		n := s.Network(list(Newest, bridge(s, SubnetV4).With(Conf{"ipMasq": nil})))
		b := s.Container()
		b.Add(n)
		Expect(Link(s.Host, BridgeName).Attrs().HardwareAddr.String()).To(Equal("02:aa:00:00:00:01"))
		b.Del(n)
		Expect(n.GC([]types.GCAttachment{})).To(Succeed())
		// His bridge stays, although no attachment does; that the host forwards was asked for.
		Expect(snapshot.Diff(before, s.Snap())).NotTo(ContainElement(ContainSubstring(BridgeName + ":")))
		Expect(HasLink(s.Host, BridgeName)).To(BeTrue())
	})
})
