package scenario_test

import (
	"net"
	"net/netip"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// patience is for answers that come, haste for those that must not.
const (
	patience = 2 * time.Second
	haste    = 400 * time.Millisecond
)

// town is a stage with two containers in a dual-stack network.
type town struct {
	*stage
	server, client *box
}

// publishes are the mappings of the server. 8080 is on every address, 9090 on one.
func publishes(protocol string) []map[string]any {
	return []map[string]any{
		port(protocol, 8080, 80), on(hostV4, protocol, 9090, 80), on(hostV6, protocol, 9090, 80),
	}
}

// newTown attaches the server with the mappings and a client without any. callNf is
// what br_netfilter is set to: bridged frames pass the firewall or not.
func newTown(callNf string, portmap conf, ports []map[string]any) *town {
	GinkgoHelper()
	s := newStage()
	for _, family := range []string{"iptables", "ip6tables"} {
		key := "net/bridge/bridge-nf-call-" + family
		if _, err := s.host.Sysctl(key); err != nil {
			Expect(err).To(MatchError(os.ErrNotExist))
			if callNf == "1" {
				Skip("the kernel lacks br_netfilter")
			}
			continue
		}
		Expect(s.host.SetSysctl(key, callNf)).To(Succeed())
	}
	n := s.network(list(newest, s.bridge(subnetV4, subnetV6), portmap))
	t := &town{stage: s, server: s.container(), client: s.container()}
	t.server.add(n, ports...)
	t.client.add(n)
	for _, protocol := range []string{"tcp", "udp"} {
		serve(t.server.Space, protocol, 80)
	}
	return t
}

// serve answers on both families until the spec ends.
func serve(s *lab.Space, protocol string, number uint16) {
	GinkgoHelper()
	for _, any := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		server, err := s.Serve(protocol, netip.AddrPortFrom(any, number).String())
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(server.Close)
	}
}

// expectSeen asks from the space and wants the server to see one of the addresses;
// without any it only wants an answer.
func expectSeen(from *lab.Space, protocol, addr, port string, as ...string) {
	GinkgoHelper()
	seen, err := from.Ask(protocol, net.JoinHostPort(addr, port), patience)
	Expect(err).NotTo(HaveOccurred())
	if len(as) > 0 {
		Expect(as).To(ContainElement(netip.MustParseAddrPort(seen).Addr().Unmap().String()), "the client as the server sees it")
	}
}

func expectRefused(from *lab.Space, protocol, addr, port string) {
	GinkgoHelper()
	seen, err := from.Ask(protocol, net.JoinHostPort(addr, port), haste)
	Expect(err).To(HaveOccurred(), "the server answered %q", seen)
}

// family is the addresses of one IP version.
type family struct {
	host, other, outside, server, client, gateway, loopback string
}

var (
	v4 = family{hostV4, otherV4, outsideV4, firstV4, secondV4, gatewayV4, "127.0.0.1"}
	v6 = family{hostV6, otherV6, outsideV6, firstV6, secondV6, gatewayV6, "::1"}
)

// each is one entry for each protocol, family and setting of br_netfilter.
func each() (entries []TableEntry) {
	for _, callNf := range []string{"0", "1"} {
		for _, protocol := range []string{"tcp", "udp"} {
			entries = append(
				entries,
				Entry(protocol+", IPv4, br_netfilter "+callNf, callNf, protocol, v4),
				Entry(protocol+", IPv6, br_netfilter "+callNf, callNf, protocol, v6),
			)
		}
	}
	return entries
}

var _ = DescribeTable("a published port", func(callNf, protocol string, f family) {
	t := newTown(callNf, portmap(), publishes(protocol))

	By("answers the outside, whose address the server sees")
	expectSeen(t.outside, protocol, f.host, "8080", f.outside)
	expectSeen(t.outside, protocol, f.other, "8080", f.outside)

	By("answers the host by its own address")
	expectSeen(t.host, protocol, f.host, "8080")
	expectSeen(t.host, protocol, f.other, "8080")

	By("answers the host by its loopback address, unless it names another")
	expectSeen(t.host, protocol, f.loopback, "8080")
	expectRefused(t.host, protocol, f.loopback, "9090")

	By("answers another container by the host's address")
	expectSeen(t.client.Space, protocol, f.host, "8080")
	expectSeen(t.client.Space, protocol, f.gateway, "8080")

	By("answers the container itself by the host's address")
	expectSeen(t.server.Space, protocol, f.host, "8080")

	By("answers on the one address that it names, from everywhere")
	expectSeen(t.outside, protocol, f.host, "9090", f.outside)
	expectSeen(t.host, protocol, f.host, "9090")
	expectSeen(t.client.Space, protocol, f.host, "9090")
	expectSeen(t.server.Space, protocol, f.host, "9090")

	By("does not answer on another address")
	for _, from := range []*lab.Space{t.outside, t.host, t.client.Space, t.server.Space} {
		expectRefused(from, protocol, f.other, "9090")
	}
}, each())

var _ = Describe("port mappings", func() {
	It("keep the source address where snat is off, and leave the loopback address closed", func() {
		t := newTown("0", portmap().with(conf{"snat": false}), publishes("tcp"))
		for _, f := range []family{v4, v6} {
			expectSeen(t.outside, "tcp", f.host, "8080", f.outside)
			expectSeen(t.host, "tcp", f.host, "8080")
		}
		expectRefused(t.host, "tcp", v4.loopback, "8080")
		Expect(t.host.Sysctl("net/ipv4/conf/" + bridgeName + "/route_localnet")).To(Equal("0"))
	})

	It("are gone after DEL", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4, subnetV6), portmap()))
		b := s.container()
		b.add(n, webPorts()...)
		serve(b.Space, "tcp", 80)
		expectSeen(s.outside, "tcp", hostV4, "8080", outsideV4)
		b.del(n, webPorts()...)
		for _, f := range []family{v4, v6} {
			for _, from := range []*lab.Space{s.outside, s.host} {
				expectRefused(from, "tcp", f.host, "8080")
			}
		}
	})

	It("lead a UDP client that never pauses to the new container", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4), portmap()))
		ports := []map[string]any{port("udp", 5353, 53)}
		const client = outsideV4 + ":5000" // one flow for conntrack
		old, next := s.container(), s.container()
		old.add(n, ports...)
		serve(old.Space, "udp", 53)
		_, err := s.outside.AskFrom("udp", client, hostV4+":5353", patience)
		Expect(err).NotTo(HaveOccurred())
		old.del(n, ports...)
		_, err = s.outside.AskFrom("udp", client, hostV4+":5353", haste) // keeps the flow alive
		Expect(err).To(HaveOccurred())
		next.add(n, ports...)
		serve(next.Space, "udp", 53)
		Expect(s.outside.AskFrom("udp", client, hostV4+":5353", patience)).To(Equal(client))
	})

	It("of one number on two addresses lead to two containers", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4), portmap()))
		a, b := s.container(), s.container()
		a.add(n, on(hostV4, "tcp", 8080, 80))
		b.add(n, on(otherV4, "tcp", 8080, 81))
		serve(a.Space, "tcp", 80)
		serve(b.Space, "tcp", 81)
		expectSeen(s.outside, "tcp", hostV4, "8080", outsideV4)
		expectSeen(s.outside, "tcp", otherV4, "8080", outsideV4)
	})

	It("of all addresses of one family stay in the family", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4, subnetV6), portmap()))
		b := s.container()
		b.add(n, on("0.0.0.0", "tcp", 8084, 80), on("::", "tcp", 8086, 80))
		serve(b.Space, "tcp", 80)
		for f, ports := range map[family][2]string{v4: {"8084", "8086"}, v6: {"8086", "8084"}} {
			expectSeen(s.outside, "tcp", f.host, ports[0], f.outside)
			expectSeen(s.outside, "tcp", f.other, ports[0], f.outside)
			expectRefused(s.outside, "tcp", f.host, ports[1])
		}
	})

	It("come in the spelling of containerd", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4), portmap()))
		b := s.container()
		b.add(n, map[string]any{"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""})
		serve(b.Space, "tcp", 80)
		expectSeen(s.outside, "tcp", hostV4, "8080", outsideV4)
	})
})
