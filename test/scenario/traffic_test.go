package scenario_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// town is a stage with two containers in a dual-stack network.
type town struct {
	*Stage
	server, client *Box
}

// publishes are the mappings of the server. 8080 is on every address, 9090 on one.
func publishes(protocol string) []map[string]any {
	return []map[string]any{
		Port(protocol, 8080, 80), On(HostV4, protocol, 9090, 80), On(HostV6, protocol, 9090, 80),
	}
}

// newTown attaches the server with the mappings and a client without any. callNf is
// what br_netfilter is set to: bridged frames pass the firewall or not.
func newTown(callNf string, portmap Conf, ports []map[string]any) *town {
	GinkgoHelper()
	s := newStage()
	s.BridgeNetfilter(callNf)
	n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6), portmap))
	t := &town{Stage: s, server: s.Container(), client: s.Container()}
	t.server.Add(n, ports...)
	t.client.Add(n)
	for _, protocol := range []string{"tcp", "udp"} {
		Serve(t.server.Space, protocol, 80)
	}
	return t
}

// family is the addresses of one IP version.
type family struct {
	host, other, outside, server, client, gateway, loopback string
}

var (
	v4 = family{HostV4, otherV4, OutsideV4, FirstV4, SecondV4, GatewayV4, "127.0.0.1"}
	v6 = family{HostV6, otherV6, OutsideV6, FirstV6, SecondV6, GatewayV6, "::1"}
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
	t := newTown(callNf, Portmap(), publishes(protocol))

	By("answers the outside, whose address the server sees")
	ExpectSeen(t.Outside, protocol, f.host, "8080", f.outside)
	ExpectSeen(t.Outside, protocol, f.other, "8080", f.outside)

	By("answers the host by its own address")
	ExpectSeen(t.Host, protocol, f.host, "8080")
	ExpectSeen(t.Host, protocol, f.other, "8080")

	By("answers the host by its loopback address, unless it names another")
	ExpectSeen(t.Host, protocol, f.loopback, "8080")
	ExpectRefused(t.Host, protocol, f.loopback, "9090")

	By("answers another container by the host's address")
	ExpectSeen(t.client.Space, protocol, f.host, "8080")
	ExpectSeen(t.client.Space, protocol, f.gateway, "8080")

	By("answers the container itself by the host's address")
	ExpectSeen(t.server.Space, protocol, f.host, "8080")

	By("answers on the one address that it names, from everywhere")
	ExpectSeen(t.Outside, protocol, f.host, "9090", f.outside)
	ExpectSeen(t.Host, protocol, f.host, "9090")
	ExpectSeen(t.client.Space, protocol, f.host, "9090")
	ExpectSeen(t.server.Space, protocol, f.host, "9090")

	By("does not answer on another address")
	for _, from := range []*Space{t.Outside, t.Host, t.client.Space, t.server.Space} {
		ExpectRefused(from, protocol, f.other, "9090")
	}
}, each())

var _ = Describe("port mappings", func() {
	It("keep the source address where snat is off, and leave the loopback address closed", func() {
		t := newTown("0", Portmap().With(Conf{"snat": false}), publishes("tcp"))
		for _, f := range []family{v4, v6} {
			ExpectSeen(t.Outside, "tcp", f.host, "8080", f.outside)
			ExpectSeen(t.Host, "tcp", f.host, "8080")
		}
		ExpectRefused(t.Host, "tcp", v4.loopback, "8080")
		Expect(t.Host.Sysctl("net/ipv4/conf/" + BridgeName + "/route_localnet")).To(Equal("0"))
	})

	It("are gone after DEL", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6), Portmap()))
		b := s.Container()
		b.Add(n, webPorts()...)
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		b.Del(n, webPorts()...)
		for _, f := range []family{v4, v6} {
			for _, from := range []*Space{s.Outside, s.Host} {
				ExpectRefused(from, "tcp", f.host, "8080")
			}
		}
	})

	It("lead a UDP client that never pauses to the new container", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4), Portmap()))
		ports := []map[string]any{Port("udp", 5353, 53)}
		const client = OutsideV4 + ":5000" // one flow for conntrack
		old, next := s.Container(), s.Container()
		old.Add(n, ports...)
		Serve(old.Space, "udp", 53)
		_, err := s.Outside.AskFrom("udp", client, HostV4+":5353", Patience)
		Expect(err).NotTo(HaveOccurred())
		old.Del(n, ports...)
		_, err = s.Outside.AskFrom("udp", client, HostV4+":5353", Haste) // keeps the flow alive
		Expect(err).To(HaveOccurred())
		next.Add(n, ports...)
		Serve(next.Space, "udp", 53)
		Expect(s.Outside.AskFrom("udp", client, HostV4+":5353", Patience)).To(Equal(client))
	})

	It("of one number on two addresses lead to two containers", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4), Portmap()))
		a, b := s.Container(), s.Container()
		a.Add(n, On(HostV4, "tcp", 8080, 80))
		b.Add(n, On(otherV4, "tcp", 8080, 81))
		Serve(a.Space, "tcp", 80)
		Serve(b.Space, "tcp", 81)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(s.Outside, "tcp", otherV4, "8080", OutsideV4)
	})

	It("of all addresses of one family stay in the family", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6), Portmap()))
		b := s.Container()
		b.Add(n, On("0.0.0.0", "tcp", 8084, 80), On("::", "tcp", 8086, 80))
		Serve(b.Space, "tcp", 80)
		for f, ports := range map[family][2]string{v4: {"8084", "8086"}, v6: {"8086", "8084"}} {
			ExpectSeen(s.Outside, "tcp", f.host, ports[0], f.outside)
			ExpectSeen(s.Outside, "tcp", f.other, ports[0], f.outside)
			ExpectRefused(s.Outside, "tcp", f.host, ports[1])
		}
	})

	It("come in the spelling of containerd", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4), Portmap()))
		b := s.Container()
		b.Add(n, map[string]any{"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""})
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	})
})
