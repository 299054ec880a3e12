package features_test

import (
	"net"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv6"
)

var _ = Describe("inside the container", func() {
	var s *Stage
	BeforeEach(func() { s = NewStage(GinkgoT()) })

	It("there is no IPv6 where it was given IPv4 only", func() {
		c := s.Bridge(SubnetV4)
		b, result := s.Attach(c)
		Expect(b.Sysctl("net/ipv6/conf/eth0/disable_ipv6")).To(Equal("1"))
		Expect(LinkLocals(b.Space, "eth0")).To(BeEmpty())
		ExpectOK("CHECK", s.Check(b, c, result))
		Expect(b.SetSysctl("net/ipv6/conf/eth0/disable_ipv6", "0")).To(Succeed())
		ExpectError(s.Check(b, c, result), Drift, "disable_ipv6")
	})

	It("there is a link-local address with enableIPv6LinkLocal", func() {
		c := s.Bridge(SubnetV4).With(Conf{"enableIPv6LinkLocal": true})
		b, result := s.Attach(c)
		Expect(b.Sysctl("net/ipv6/conf/eth0/disable_ipv6")).To(Equal("0"))
		Eventually(func() []string { return LinkLocals(b.Space, "eth0") }).WithTimeout(Patience).ShouldNot(BeEmpty())
		ExpectOK("CHECK", s.Check(b, c, result))
	})

	It("there is IPv6 though the runtime switched it off, where it was given IPv6", func() {
		b := s.Container()
		for _, where := range []string{"default", "all", "lo"} {
			Expect(b.SetSysctl("net/ipv6/conf/"+where+"/disable_ipv6", "1")).To(Succeed())
		}
		s.Add(b, s.Bridge(SubnetV4, SubnetV6))
		ExpectPing(b.Space, GatewayV6, FirstV6, "::1")
	})

	It("nothing on the network may change routes", func() {
		b, _ := s.Attach(s.Bridge(SubnetV4, SubnetV6))
		for _, key := range []string{"ipv6/conf/eth0/accept_ra", "ipv6/conf/eth0/accept_redirects", "ipv4/conf/eth0/accept_redirects"} {
			Expect(b.Sysctl("net/"+key)).To(Equal("0"), key)
		}
	})

	// The second half proves that the first one tested something.
	It("a router advertisement changes nothing", func() {
		b, _ := s.Attach(s.Bridge(SubnetV6).With(Conf{"isDefaultGateway": nil, "isGateway": true}))
		Eventually(func() []string { return LinkLocals(s.Host, BridgeName) }).WithTimeout(Patience).ShouldNot(BeEmpty())
		advertise(s.Host, BridgeName)
		ExpectPing(s.Host, FirstV6) // the advertisement went the same way before
		Expect(Routes(b.Space, "eth0")).To(BeEmpty())

		Expect(b.SetSysctl("net/ipv6/conf/eth0/accept_ra", "2")).To(Succeed())
		Eventually(func() []string {
			advertise(s.Host, BridgeName)
			return Routes(b.Space, "eth0")
		}).WithTimeout(Patience).WithPolling(100 * time.Millisecond).Should(ConsistOf(HavePrefix("::/0 via fe80:")))
	})

	It("the link is down with disableContainerInterface, and the rest is there", func() {
		c := s.Bridge().With(Conf{"disableContainerInterface": true})
		virgin := s.Settled()
		b, result := s.Attach(c)
		Expect(Link(b.Space, "eth0").Attrs().Flags & net.FlagUp).To(BeZero())
		Expect(Link(s.Host, result.Interfaces[1].Name).Attrs().Flags & net.FlagUp).NotTo(BeZero())
		ExpectOK("CHECK", s.Check(b, c, result))
		s.Del(b, c, result)
		s.GC(c)
		s.ExpectEqual(virgin)
	})

	It("disableContainerInterface contradicts ipam", func() {
		b := s.Container()
		ExpectError(s.Call(b, "ADD", s.Bridge(SubnetV4).With(Conf{"disableContainerInterface": true})), 7, "disableContainerInterface", "ipam")
	})

	It("links of other plugins are none of our business", func() {
		c := s.Bridge(SubnetV4)
		b, result := s.Attach(c)
		Inside(b.Space, func() error {
			return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "tunnel0"}, PeerName: "tunnel1"})
		})
		ExpectOK("CHECK", s.Check(b, c, result))
		s.Del(b, c, result)
		Expect(HasLink(b.Space, "tunnel0")).To(BeTrue())
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
	})
})

// advertise sends a router advertisement (RFC 4861, section 4.2) by the link: a default
// route of half an hour.
func advertise(s *Space, link string) {
	GinkgoHelper()
	index := Link(s, link).Attrs().Index
	var conn net.PacketConn
	Inside(s, func() (err error) {
		conn, err = net.ListenPacket("ip6:ipv6-icmp", "::")
		return err
	})
	defer conn.Close()
	p := ipv6.NewPacketConn(conn)
	Expect(p.SetMulticastHopLimit(255)).To(Succeed())
	// Type 134, hop limit 64, lifetime 1800 s; the kernel fills in the checksum.
	message := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}
	to := &net.IPAddr{IP: net.ParseIP("ff02::1")}
	_, err := p.WriteTo(message, &ipv6.ControlMessage{IfIndex: index, Src: linkLocal(s, link)}, to)
	Expect(err).NotTo(HaveOccurred())
}

func linkLocal(s *Space, link string) net.IP {
	GinkgoHelper()
	ip, _, err := net.ParseCIDR(LinkLocals(s, link)[0])
	Expect(err).NotTo(HaveOccurred())
	return ip
}
