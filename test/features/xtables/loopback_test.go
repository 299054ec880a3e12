package xtables_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// neighbor is a space beside the host that sends packets for 127.0.0.1 to it.
func neighbor(s *Stage, link, subnet string) *Space {
	GinkgoHelper()
	n := s.Space(link)
	s.Must(Wire(s.Host, link, subnet+".1/24", n, "eth0", subnet+".2/24"))
	s.Must(n.RouteLoopback("eth0", subnet+".1"))
	return n
}

func reaches(from *Space, port string) bool {
	_, err := from.Ask("tcp", "127.0.0.1:"+port, Haste)
	return err == nil
}

// A host takes packets for 127.0.0.1 by a link of its own, as under WSL with mirrored networks.
var _ = DescribeTable("the host's own way to 127.0.0.1 stays open beside the guard:", func(w way, ports ...map[string]any) {
	s := NewStage(GinkgoT())
	w.use(s)
	own, other := neighbor(s, "own0", "192.0.2"), neighbor(s, "other0", "198.18.0")
	Serve(s.Host, "tcp", 9000)
	Expect(reaches(own, "9000")).To(BeFalse(), "the kernel drops such packets (ip_route_input_slow)")
	s.Must(s.Host.SetSysctl("net/ipv4/conf/own0/route_localnet", "1"))
	Expect(reaches(own, "9000")).To(BeTrue(), "before the first container")

	network := unmasqueraded(s).With(Conf{"ipMasq": len(ports) == 0})
	b, result := s.Attach(network)
	var portmap Conf
	if len(ports) > 0 {
		portmap = w.behind(result, nil, ports...)
		ExpectOK("ADD", s.Call(b, "ADD", portmap))
		ExpectOK("CHECK", s.Call(b, "CHECK", portmap))
	}
	ExpectOK("CHECK", s.Check(b, network, result))
	Expect(reaches(own, "9000")).To(BeTrue(), "after ADD")
	s.Must(s.Host.SetSysctl("net/ipv4/conf/all/route_localnet", "1"))
	Expect(reaches(own, "9000")).To(BeTrue(), "with all links open")
	Expect(reaches(other, "9000")).To(BeFalse(), "by a link that nobody chose")
	s.Must(b.RouteLoopback("eth0", GatewayV4))
	Expect(reaches(b.Space, "9000")).To(BeFalse(), "from a container")
	if len(ports) > 0 {
		ExpectOK("DEL", s.Call(b, "DEL", portmap))
		s.GC(Conf{"type": "portmap", "backend": w.backend})
	}
	s.Del(b, network, result)
	s.GC(network)
	Expect(reaches(other, "9000")).To(BeTrue(), "without a guard")
},
	Entry("of a network without ports", way{}),
	Entry("by nftables", way{backend: "nftables"}, Port("tcp", 8080, 80)),
	Entry("by iptables over nf_tables", way{"iptables", "nft"}, Port("tcp", 8080, 80)),
	Entry("by iptables over legacy tables", way{"iptables", "legacy"}, Port("tcp", 8080, 80)),
)
