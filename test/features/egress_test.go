package features_test

import (
	"net"
	"strings"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("egress", func() {
	var s *Stage
	var c Conf
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		s.BridgeNetfilter("0")
		c = s.Bridge(SubnetV4, SubnetV6)
		for _, port := range []uint16{53, 80, 443, 8500, 9001} {
			Serve(s.Outside, "tcp", port)
			Serve(s.Outside, "udp", port)
		}
	})
	attach := func(egress Conf) (*Box, Conf) {
		GinkgoHelper()
		of := c.With(Conf{"egress": egress})
		b, result := s.Attach(of)
		ExpectOK("CHECK", s.Check(b, of, result))
		Reload(s.Host) // nft(8) has its own way to write sets and ranges
		ExpectOK("CHECK", s.Check(b, of, result))
		return b, of
	}

	It("lets through what is allowed, by address, protocol and port", func() {
		b, _ := attach(Conf{"default": "deny", "allow": []Conf{
			{"to": OutsideV4, "ports": []any{443, "8000-8999"}},
			{"to": "2001:db8:f::/48", "ports": []any{"443"}, "protocol": "udp"},
			{"to": FarV4, "protocol": "icmp"},
			{"to": FarV6, "protocol": "icmp"},
		}})
		for _, port := range []string{"443", "8500"} {
			Expect(Reaches(b.Space, "tcp", OutsideV4, port)).To(BeTrue(), port)
			Expect(Reaches(b.Space, "udp", OutsideV4, port)).To(BeFalse(), port)
			Expect(Reaches(b.Space, "tcp", OutsideV6, port)).To(BeFalse(), port)
		}
		Expect(Reaches(b.Space, "tcp", OutsideV4, "80")).To(BeFalse())
		Expect(Reaches(b.Space, "tcp", OutsideV4, "9001")).To(BeFalse())
		Expect(Reaches(b.Space, "udp", OutsideV6, "443")).To(BeTrue())
		Expect(Reaches(b.Space, "udp", OutsideV6, "80")).To(BeFalse())
		ExpectPing(b.Space, FarV4, FarV6)
		ExpectSilence(b.Space, OutsideV4)
	})

	It("says at once that an address is forbidden", func() {
		b, _ := attach(Conf{"default": "allow", "deny": []Conf{{"to": OutsideV4, "ports": []any{80}}, {"to": OutsideV6}}})
		for _, to := range []string{OutsideV4, OutsideV6} {
			begin := time.Now()
			_, err := b.Ask("tcp", net.JoinHostPort(to, "80"), Patience)
			Expect(err).To(MatchError(ContainSubstring("connection refused")))
			Expect(time.Since(begin)).To(BeNumerically("<", Patience/6))
		}
		Expect(Reaches(b.Space, "tcp", OutsideV4, "443")).To(BeTrue())
	})

	It("has exceptions from what is denied, and from what is allowed", func() {
		b, _ := attach(Conf{"default": "allow", "deny": []Conf{{"to": "203.0.113.0/24"}}, "allow": []Conf{{"to": OutsideV4, "ports": []any{80}}}})
		Expect(Reaches(b.Space, "tcp", OutsideV4, "80")).To(BeTrue())
		Expect(Reaches(b.Space, "tcp", OutsideV4, "443")).To(BeFalse())
		b, _ = attach(Conf{"default": "deny", "allow": []Conf{{"to": "203.0.113.0/24"}}, "deny": []Conf{{"to": OutsideV4, "ports": []any{80}}}})
		Expect(Reaches(b.Space, "tcp", OutsideV4, "80")).To(BeFalse())
		Expect(Reaches(b.Space, "tcp", OutsideV4, "443")).To(BeTrue())
	})

	It("lets the container answer: clients of its ports, the host, its neighbours", func() {
		of := c.With(Conf{"egress": Conf{"default": "deny"}})
		b := s.Container()
		b.Add(s.Network(List(of, Portmap())), Port("tcp", 8080, 80), Port("udp", 8080, 80))
		sibling, _ := s.Attach(c)
		Serve(b.Space, "tcp", 80)
		Serve(b.Space, "udp", 80)
		for _, protocol := range []string{"tcp", "udp"} {
			Expect(Reaches(s.Outside, protocol, HostV4, "8080")).To(BeTrue(), protocol)
			Expect(Reaches(s.Outside, protocol, HostV6, "8080")).To(BeTrue(), protocol)
			for _, from := range []*Space{s.Host, sibling.Space} {
				Expect(Reaches(from, protocol, FirstV4, "80")).To(BeTrue(), protocol)
				Expect(Reaches(from, protocol, FirstV6, "80")).To(BeTrue(), protocol)
			}
		}
		ExpectPing(s.Host, FirstV4, FirstV6)
		ExpectPing(sibling.Space, FirstV4, FirstV6)
		ExpectSilence(b.Space, SecondV4)
	})

	It("knows words: dns, host, metadata, private, and sets of names", func() {
		c = c.With(Conf{"dns": Conf{"nameservers": []string{OutsideV4, OutsideV6}}})
		b, _ := attach(Conf{"default": "deny", "allow": []Conf{{"to": "dns"}, {"to": "@web", "ports": []any{443}}}})
		for _, to := range []string{OutsideV4, OutsideV6} {
			Expect(Reaches(b.Space, "udp", to, "53")).To(BeTrue(), to)
			Expect(Reaches(b.Space, "tcp", to, "53")).To(BeTrue(), to)
			Expect(Reaches(b.Space, "tcp", to, "443")).To(BeFalse(), to)
		}
		Program(s.Host, "", "nft", "add element inet bridgeport names-web4 { "+OutsideV4+" }")
		Program(s.Host, "", "nft", "add element inet bridgeport names-web6 { "+OutsideV6+" timeout 1h }")
		for _, to := range []string{OutsideV4, OutsideV6} {
			Expect(Reaches(b.Space, "tcp", to, "443")).To(BeTrue(), to)
			Expect(Reaches(b.Space, "tcp", to, "80")).To(BeFalse(), to)
		}
		again, _ := s.Attach(c.With(Conf{"egress": Conf{"default": "deny", "allow": []Conf{{"to": "@web", "ports": []any{443}}}}}))
		Expect(Reaches(again.Space, "tcp", OutsideV4, "443")).To(BeTrue(), "the set is as it was")

		Serve(s.Host, "tcp", 81)
		b, _ = attach(Conf{"default": "allow", "deny": []Conf{{"to": "host", "ports": []any{81}}, {"to": "metadata"}}})
		for _, to := range []string{GatewayV4, GatewayV6, HostV4, HostV6} {
			Expect(Reaches(b.Space, "tcp", to, "81")).To(BeFalse(), to)
		}
		Expect(Reaches(b.Space, "tcp", OutsideV4, "80")).To(BeTrue())
	})

	for _, callNf := range []string{"0", "1"} {
		It("knows connections in a VLAN, bridge-nf-call-iptables "+callNf, func() {
			s.NeedVlans()
			s.BridgeNetfilter(callNf)
			of := c.With(Conf{"vlan": 100, "isolation": "network", "egress": Conf{"default": "deny", "allow": []Conf{{"to": OutsideV4, "ports": []any{80}}}}})
			b := s.Container()
			b.Add(s.Network(List(of, Portmap())), Port("tcp", 8080, 80))
			sibling, _ := s.Attach(of)
			Serve(b.Space, "tcp", 80)
			Expect(Reaches(s.Outside, "tcp", HostV4, "8080")).To(BeTrue(), "an answer")
			Expect(Reaches(b.Space, "tcp", OutsideV4, "80")).To(BeTrue())
			Expect(Reaches(b.Space, "tcp", OutsideV4, "443")).To(BeFalse())
			Expect(Reaches(b.Space, "tcp", GatewayV4, "443")).To(BeFalse())
			Expect(Reaches(sibling.Space, "tcp", FirstV4, "80")).To(BeFalse(), "a neighbour")
		})
	}

	It("is one container's, where the runtime says so", func() {
		of := c.With(Conf{"egress": Conf{"default": "deny"}})
		loose := of.With(Conf{"args": Conf{"cni": Conf{"egress": Conf{"default": "allow"}}}})
		tight := of.With(Conf{"runtimeConfig": Conf{"egress": Conf{"default": "deny", "allow": []Conf{{"to": OutsideV4}}}}})
		first, _ := s.Attach(of)
		second, _ := s.Attach(loose)
		third, _ := s.Attach(tight)
		for _, port := range []string{"80", "443"} {
			Expect(Reaches(first.Space, "tcp", OutsideV4, port)).To(BeFalse())
			Expect(Reaches(second.Space, "tcp", OutsideV6, port)).To(BeTrue())
			Expect(Reaches(third.Space, "tcp", OutsideV4, port)).To(BeTrue())
			Expect(Reaches(third.Space, "tcp", OutsideV6, port)).To(BeFalse())
		}
	})

	It("goes with the container, by DEL and by GC", func() {
		before := s.Settled()
		of := c.With(Conf{"isolation": "strict", "egress": Conf{"default": "deny", "allow": []Conf{{"to": "@web"}, {"to": OutsideV4, "ports": []any{1, 3}}}}})
		b, result := s.Attach(of)
		s.Del(b, of, result)
		s.Attach(of)
		s.GC(of)
		s.ExpectEqual(before)
	})

	It("does not shut containers in where the host's way out is a bridge", func() {
		Program(s.Host, "", "ip", "link", "add", "br0", "up", "type", "bridge")
		Program(s.Host, "", "ip", "address", "add", "192.0.2.2/24", "dev", "br0")
		Program(s.Host, "", "ip", "route", "add", "default", "via", "192.0.2.1", "dev", "br0")
		ExpectError(s.Call(s.Container(), "ADD", c.With(Conf{"isolation": "strict"})), 7, `isolation: strict: the host's way out is the bridge br0, which containers could not use: choose "network"`)
		s.Attach(c.With(Conf{"isolation": "network"}))
	})

	It("is missed by CHECK, and a changed rule told", func() {
		of := c.With(Conf{"egress": Conf{"default": "deny", "allow": []Conf{{"to": OutsideV4, "ports": []any{443, 80}}}}})
		b, result := s.Attach(of)
		ExpectError(s.Check(b, of.With(Conf{"egress": Conf{"default": "allow"}}), result), Drift, `egress4 { "lan0" . 10.60.0.2 : jump egress-lan-`)
		EmptySet(s.Host, NAT, "egress4")
		ExpectError(s.Check(b, of, result), Drift, `element egress4 { "lan0" . 10.60.0.2 } is missing`)
		Program(s.Host, "", "nft", "add element inet bridgeport egress4 { \"lan0\" . 10.60.0.2 : accept }")
		ExpectError(s.Check(b, of, result), Drift, `egress4 { "lan0" . 10.60.0.2 }`)
		Expect(Reaches(b.Space, "tcp", OutsideV4, "9001")).To(BeTrue())
		var chain string
		Rules(s.Host, func(n *nftables.Conn) error {
			chains, err := n.ListChainsOfTableFamily(nftables.TableFamilyINet)
			for _, ch := range chains {
				if strings.HasPrefix(ch.Name, "egress-") {
					chain = ch.Name
				}
			}
			return err
		})
		Program(s.Host, "", "nft", "flush chain inet bridgeport "+chain)
		Program(s.Host, "", "nft", "add rule inet bridgeport "+chain+" ip daddr "+OutsideV4+" tcp dport { 443, 81 } return comment \"egress\"")
		ExpectError(s.Check(b, of, result), Drift, "chain inet bridgeport "+chain+": rule `ip daddr "+OutsideV4+" tcp dport { 80, 443 } return` is missing")
	})
})
