package features_test

import (
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// firewall is somebody's rules that drop what they do not know.
type firewall struct {
	up    func(*Stage)
	flush func(*Stage)
	chain string // how messages name it
	open  func(*Stage)
	place func(*Stage) string // the rules at the place of ours
}

// docker sets the policy, and leaves DOCKER-USER to the administrator.
func docker(variant, chain string) firewall {
	return firewall{
		chain: chain,
		up: func(s *Stage) {
			x := NewXtables(s, variant)
			for _, rule := range []string{
				"-P FORWARD DROP", "-N DOCKER-USER", "-N DOCKER-ISOLATION-STAGE-1",
				"-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
				"-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
				"-A FORWARD -i docker0 ! -o docker0 -j ACCEPT", "-A FORWARD -i docker0 -o docker0 -j ACCEPT",
				"-A DOCKER-ISOLATION-STAGE-1 -j RETURN", "-A DOCKER-USER -j RETURN",
			} {
				x.Both(s.Host, rule)
			}
		},
		flush: func(s *Stage) {
			for _, program := range []string{"iptables-", "ip6tables-"} {
				Program(s.Host, "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", program+variant+"-restore")
			}
		},
		open: func(s *Stage) {
			for _, program := range []string{"iptables-", "ip6tables-"} {
				for _, side := range []string{"-i", "-o"} {
					Program(s.Host, "", program+variant, "-I", "DOCKER-USER", side, BridgeName, "-j", "ACCEPT")
				}
			}
		},
		place: func(s *Stage) string {
			return Program(s.Host, "", "iptables-"+variant, "-S", "DOCKER-USER") + Program(s.Host, "", "ip6tables-"+variant, "-S", "DOCKER-USER")
		},
	}
}

// firewalld ends a chain of its own by a reject.
var firewalld = firewall{
	chain: "chain inet firewalld filter_FORWARD",
	up: func(s *Stage) {
		Program(s.Host, `table inet firewalld {
	chain filter_FWD_trusted { accept; }
	chain filter_FWD_public { meta l4proto icmp accept; }
	chain filter_FORWARD_ZONES { iifname "tap0" goto filter_FWD_trusted; goto filter_FWD_public; }
	chain filter_FORWARD {
		type filter hook forward priority 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		jump filter_FORWARD_ZONES
		reject with icmpx type admin-prohibited
	}
}`, "nft", "-f", "-")
	},
	flush: func(s *Stage) { Program(s.Host, "flush ruleset", "nft", "-f", "-") },
	open: func(s *Stage) {
		for _, side := range []string{"iifname", "oifname"} {
			Program(s.Host, "", "nft", "insert", "rule", "inet", "firewalld", "filter_FORWARD", side, BridgeName, "accept")
		}
	},
	place: func(s *Stage) string {
		return Program(s.Host, "", "nft", "list", "chain", "inet", "firewalld", "filter_FORWARD")
	},
}

// known makes the outside know the way to the containers.
func known(s *Stage) {
	GinkgoHelper()
	Expect(s.Outside.Route(SubnetV4, HostV4)).To(Succeed())
	Expect(s.Outside.Route(SubnetV6, HostV6)).To(Succeed())
}

var _ = DescribeTableSubtree("somebody's firewall,", func(f firewall) {
	var (
		s           *Stage
		plain, with Conf
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		f.up(s)
		plain = s.Bridge(SubnetV4, SubnetV6)
		with = plain.With(Conf{"forwardAccept": true})
	})

	It("in the way, is named by STATUS and CHECK, and ADD works all the same", func() {
		ExpectError(s.Status(plain), 51, f.chain, BridgeName, "forwardAccept")
		before := f.place(s)
		b, result := s.Attach(plain)
		ExpectError(s.Check(b, plain, result), Drift, f.chain, BridgeName)
		Serve(s.Outside, "tcp", 7000)
		ExpectRefused(b.Space, "tcp", OutsideV4, "7000")
		ExpectPing(b.Space, GatewayV4, GatewayV6)
		Expect(f.place(s)).To(Equal(before))
	})

	It("in the way of nothing, where there is no gateway, is nobody's business", func() {
		c := plain.With(Conf{"isDefaultGateway": nil, "ipMasq": nil})
		ExpectOK("STATUS", s.Status(c))
		b, result := s.Attach(c)
		ExpectOK("CHECK", s.Check(b, c, result))
	})

	It("lets everything pass with forwardAccept", func() {
		ExpectOK("STATUS", s.Status(with))
		known(s)
		b, result := s.Attach(with)
		ExpectOK("CHECK", s.Check(b, with, result))
		Serve(s.Outside, "tcp", 7000)
		Serve(b.Space, "tcp", 80)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
		ExpectSeen(b.Space, "tcp", OutsideV6, "7000", HostV6)
		ExpectSeen(s.Outside, "tcp", FirstV4, "80", OutsideV4)
		ExpectSeen(s.Outside, "tcp", FirstV6, "80", OutsideV6)
	})

	It("lets no packet pass between networks that are kept apart", func() {
		apart := with.With(Conf{"isolation": "network"})
		a, result := s.Attach(apart)
		far := with.With(Conf{"name": "far", "bridge": "far0", "ipam": s.IPAM("10.61.0.0/24", "fd61::/64")})
		b := s.Container()
		b.Add(s.Network(List(far, Portmap())), Port("tcp", 8080, 80))
		near, _ := s.Attach(with.With(Conf{"name": "near", "bridge": "near0", "ipam": s.IPAM("10.62.0.0/24", "fd62::/64")}))
		for _, box := range []*Box{a, b, near} {
			Serve(box.Space, "tcp", 80)
		}
		for _, at := range []string{"10.61.0.2", "fd61::2"} {
			ExpectSeen(near.Space, "tcp", at, "80") // who is not kept apart
			ExpectRefused(a.Space, "tcp", at, "80")
		}
		for _, at := range []string{FirstV4, FirstV6} {
			ExpectRefused(b.Space, "tcp", at, "80")
		}
		for _, at := range []string{HostV4, HostV6} {
			ExpectSeen(a.Space, "tcp", at, "8080")
		}
		ExpectPing(a.Space, OutsideV4, OutsideV6)
		ExpectOK("CHECK", s.Check(a, apart, result))
	})

	It("lets a published port pass with forwardAccept", func() {
		n := s.Network(List(with, Portmap()))
		b := s.Container()
		b.Add(n, Port("tcp", 8080, 80))
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(s.Outside, "tcp", HostV6, "8080", OutsideV6)
	})

	It("has our rules once, however many containers there are, and in a place that its own tools can read", func() {
		s.Attach(with)
		once := f.place(s)
		Expect(strings.Count(once, BridgeName)).To(BeNumerically(">=", 2), once)
		s.Attach(with)
		Expect(strings.Count(f.place(s), BridgeName)).To(Equal(strings.Count(once, BridgeName)))
	})

	It("is as it was after GC of everything", func() {
		virgin, place := s.Settled(), f.place(s)
		b, result := s.Attach(with)
		s.Settled()
		s.Del(b, with, result)
		s.GC(with)
		s.ExpectEqual(virgin)
		Expect(f.place(s)).To(Equal(place))
	})

	It("keeps its rules for one bridge when the other goes", func() {
		stays, result := s.Attach(with)
		other := with.With(Conf{"name": "other", "bridge": "other0", "ipam": s.IPAM("10.61.0.0/24")})
		before := s.Settled()
		gone, otherResult := s.Attach(other)
		s.Del(gone, other, otherResult)
		s.GC(other)
		s.ExpectEqual(before)
		ExpectOK("CHECK", s.Check(stays, with, result))
	})

	It("that came later, or was set up anew, is named by CHECK, and the next ADD helps", func() {
		b, result := s.Attach(with)
		ExpectOK("CHECK", s.Check(b, with, result))
		f.flush(s)
		f.up(s)
		ExpectError(s.Check(b, with, result), Drift, f.chain)
		s.Attach(with)
		Expect(strings.Count(f.place(s), BridgeName)).To(BeNumerically(">=", 2))
	})

	It("where the administrator accepts the bridge, is not complained of", func() {
		f.open(s)
		ExpectOK("STATUS", s.Status(plain))
		b, result := s.Attach(plain)
		ExpectOK("CHECK", s.Check(b, plain, result))
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
	})
},
	Entry("of Docker", docker("nft", "chain ip filter FORWARD")),
	Entry("of Docker over legacy tables", docker("legacy", "chain FORWARD of iptables-legacy")),
	Entry("of firewalld", firewalld),
)

// Each lets the bridge's packets pass, in one of the ways that are usual.
var _ = DescribeTable("a firewall that drops by policy or at its end is not complained of, since it accepts", func(rules string) {
	s := NewStage(GinkgoT())
	Program(s.Host, rules, "nft", "-f", "-")
	plain := s.Bridge(SubnetV4)
	b, result := s.Attach(plain)
	Serve(s.Outside, "tcp", 7000)
	ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4) // it does pass
	ExpectOK("CHECK", s.Check(b, plain, result))
	ExpectOK("STATUS", s.Status(plain))
},
	Entry("the bridge by name", `table inet admin {
	chain forward {
		type filter hook forward priority 0; policy drop;
		iifname "lan0" accept
		oifname "lan0" accept
	}
}`),
	Entry("the bridge by a pattern", `table inet admin {
	chain forward {
		type filter hook forward priority 0; policy drop;
		iifname "lan*" accept
		oifname "lan*" accept
	}
}`),
	Entry("the bridge by a set", `table inet admin {
	chain forward {
		type filter hook forward priority 0; policy drop;
		iifname { "lan0", "lan1" } accept
		ct state established,related accept
	}
}`),
	Entry("the bridge in a chain of its zone, as firewalld does", `table inet firewalld {
		chain trusted { accept; }
		chain zones { iifname "lan0" goto trusted; }
		chain forward {
			type filter hook forward priority 10; policy accept;
			ct state { established, related } accept
			jump zones
			reject with icmpx type admin-prohibited
		}
	}`),
	Entry("the subnet", `table inet admin {
	chain forward {
		type filter hook forward priority 0; policy drop;
		ip saddr 10.60.0.0/24 accept
		ip daddr 10.60.0.0/24 accept
	}
}`),
	Entry("the subnet in a chain of its own, as flannel does beside Docker", `table ip filter {
		chain FLANNEL-FWD {
			ip saddr 10.60.0.0/16 counter accept
			ip daddr 10.60.0.0/16 counter accept
		}
		chain FORWARD {
			type filter hook forward priority filter; policy drop;
			counter jump FLANNEL-FWD
		}
	}`),
	Entry("all but one network", `table inet admin {
	chain forward {
		type filter hook forward priority 0; policy drop;
		iifname != "guests0" accept
	}
}`),
)

// Rules of legacy iptables are read as the kernel keeps them.
var _ = DescribeTable("a FORWARD chain of legacy iptables", func(blocks bool, rules ...string) {
	s := NewStage(GinkgoT())
	x := NewXtables(s, "legacy")
	for _, rule := range rules {
		x.Both(s.Host, rule)
	}
	c := s.Bridge(SubnetV4, SubnetV6)
	b, result := s.Attach(c)
	Serve(s.Outside, "tcp", 7000)
	if blocks {
		ExpectRefused(b.Space, "tcp", OutsideV4, "7000") // it does
		ExpectRefused(b.Space, "tcp", OutsideV6, "7000")
		ExpectError(s.Check(b, c, result), Drift, "chain FORWARD of iptables-legacy", "chain FORWARD of ip6tables-legacy")
		ExpectError(s.Status(c), 51, "chain FORWARD of iptables-legacy")
		return
	}
	ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
	ExpectSeen(b.Space, "tcp", OutsideV6, "7000", HostV6)
	ExpectOK("CHECK", s.Check(b, c, result))
	ExpectOK("STATUS", s.Status(c))
},
	Entry("that ends with DROP, blocks", true, "-A FORWARD -j DROP"),
	Entry("that ends with REJECT and a comment, blocks", true, "-A FORWARD -m comment --comment end -j REJECT"),
	Entry("that knows other links only, blocks", true, "-P FORWARD DROP", "-A FORWARD -i docker0 -j ACCEPT", "-A FORWARD ! -i lan+ -j ACCEPT"),
	Entry("that knows replies and pings only, blocks", true, "-P FORWARD DROP", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A FORWARD -p udp -j ACCEPT"),
	Entry("with chains that lead nowhere, blocks", true, "-P FORWARD DROP", "-N ADMIN", "-N OTHER", "-A ADMIN -j OTHER", "-A OTHER -j RETURN", "-A FORWARD -j ADMIN"),
	Entry("that ends with DROP for others, is open", false, "-A FORWARD -i docker0 -j DROP"),
	Entry("that accepts the bridge by name, is open", false, "-P FORWARD DROP", "-A FORWARD -i lan0 -j ACCEPT", "-A FORWARD -o lan0 -j ACCEPT"),
	Entry("that accepts the bridge by a pattern, is open", false, "-P FORWARD DROP", "-A FORWARD -i lan+ -j ACCEPT", "-A FORWARD -o lan+ -j ACCEPT"),
	Entry("that accepts all but one link, is open", false, "-P FORWARD DROP", "-A FORWARD ! -i guests0 -j ACCEPT"),
	Entry("that accepts it in a chain of its own, is open", false, "-P FORWARD DROP", "-N ADMIN", "-A ADMIN -i lan0 -j ACCEPT", "-A ADMIN -o lan0 -j ACCEPT", "-A FORWARD -j ADMIN"),
	Entry("that drops nothing, is open", false, "-A FORWARD -p udp -j DROP"),
)

var _ = Describe("a firewall", func() {
	It("of ufw gets the rules at the head of its chain", func() {
		s := NewStage(GinkgoT())
		x := NewXtables(s, "nft")
		for _, rule := range []string{
			"-P FORWARD DROP", "-N ufw-before-forward", "-A FORWARD -j ufw-before-forward",
			"-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		} {
			x.Both(s.Host, rule)
		}
		with := s.Bridge(SubnetV4, SubnetV6).With(Conf{"forwardAccept": true})
		b, _ := s.Attach(with)
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
		ExpectSeen(b.Space, "tcp", OutsideV6, "7000", HostV6)
		Expect(strings.Split(x.Run(s.Host, "-S FORWARD"), "\n")[1]).To(ContainSubstring(BridgeName))
	})
})
