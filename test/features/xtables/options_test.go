package xtables_test

import (
	"fmt"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// way is a backend of portmap: nftables, or iptables of one of the two kinds.
type way struct{ backend, variant string }

func (w way) use(s *Stage) {
	GinkgoHelper()
	if w.variant != "" {
		NewXtables(s, w.variant)
	}
}

// behind is portmap behind an attachment.
func (w way) behind(prev *types100.Result, changes Conf, ports ...map[string]any) Conf {
	return chained(prev, Conf{"backend": w.backend}, ports...).With(changes)
}

// published attaches a container whose ports are published.
func (w way) published(s *Stage, changes Conf, ports ...map[string]any) (*Box, Conf) {
	GinkgoHelper()
	b, result := s.Attach(unmasqueraded(s))
	c := w.behind(result, changes, ports...)
	ExpectOK("ADD", s.Call(b, "ADD", c))
	return b, c
}

// with is a mapping with more keys.
func with(port map[string]any, more map[string]any) map[string]any {
	for k, v := range more {
		port[k] = v
	}
	return port
}

var ways = []TableEntry{
	Entry("nftables", way{"nftables", ""}),
	Entry("iptables over nf_tables", way{"iptables", "nft"}),
	Entry("iptables over legacy tables", way{"iptables", "legacy"}),
}

var _ = DescribeTableSubtree("portmap's options by", func(w way) {
	var s *Stage
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		w.use(s)
	})

	DescribeTable("a range", func(container int) {
		b, c := w.published(s, nil, with(Port("tcp", 10000, container), map[string]any{"range": 500}))
		for _, n := range []int{0, 499} {
			Serve(b.Space, "tcp", uint16(container+n))
			for _, addr := range []string{HostV4, HostV6} {
				ExpectSeen(s.Outside, "tcp", addr, fmt.Sprint(10000+n))
				ExpectSeen(s.Host, "tcp", addr, fmt.Sprint(10000+n))
			}
			ExpectSeen(s.Host, "tcp", "127.0.0.1", fmt.Sprint(10000+n))
		}
		Serve(b.Space, "tcp", uint16(container+500))
		ExpectRefused(s.Outside, "tcp", HostV4, "10500")
		ExpectOK("CHECK", s.Call(b, "CHECK", c))

		other, result := s.Attach(unmasqueraded(s))
		before := s.Settled()
		for _, clash := range []map[string]any{
			Port("tcp", 10250, 80), with(Port("tcp", 10499, 80), map[string]any{"range": 2}), with(Port("tcp", 9000, 80), map[string]any{"range": 2000}),
		} {
			ExpectError(s.Call(other, "ADD", w.behind(result, nil, clash)), Conflict, b.ID, NetworkName)
			s.ExpectEqual(before)
		}
		ExpectOK("ADD", s.Call(other, "ADD", w.behind(result, nil, Port("udp", 10250, 80), Port("tcp", 10500, 80))))
		ExpectOK("DEL", s.Call(b, "DEL", c))
		ExpectRefused(s.Outside, "tcp", HostV4, "10000")
	},
		Entry("to the same ports", 10000),
		Entry("to others", 20000),
	)

	It("allowFrom lets in who is named", func() {
		b, c := w.published(s, nil,
			with(Port("tcp", 8080, 80), map[string]any{"allowFrom": []string{OutsideV4 + "/32", "2001:db8:f::/64"}}),
			with(Port("tcp", 8081, 80), map[string]any{"allowFrom": []string{"198.51.100.0/24"}}),
			Port("tcp", 8082, 80))
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(s.Outside, "tcp", HostV6, "8080", OutsideV6)
		ExpectRefused(s.Host, "tcp", "127.0.0.1", "8080")
		ExpectRefused(s.Outside, "tcp", HostV4, "8081")
		ExpectRefused(s.Outside, "tcp", HostV6, "8081") // no client of IPv6 is named
		ExpectSeen(s.Outside, "tcp", HostV4, "8082", OutsideV4)
		ExpectSeen(s.Host, "tcp", "127.0.0.1", "8082")
		ExpectOK("CHECK", s.Call(b, "CHECK", c))
		ExpectOK("DEL", s.Call(b, "DEL", c))
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
	})

	It("allowFrom masquerades a neighbour that is named", func() {
		b, _ := w.published(s, nil, with(Port("tcp", 8080, 80), map[string]any{"allowFrom": []string{SecondV4}}))
		named, _ := s.Attach(unmasqueraded(s))
		other, _ := s.Attach(unmasqueraded(s))
		Serve(b.Space, "tcp", 80)
		ExpectSeen(named.Space, "tcp", HostV4, "8080", GatewayV4)
		ExpectRefused(other.Space, "tcp", HostV4, "8080")
	})

	It("allowFrom of one network is not another's", func() {
		limited, _ := w.published(s, Conf{"allowFrom": []string{"198.51.100.0/24"}}, Port("tcp", 8080, 80))
		open, result := s.Attach(unmasqueraded(s).With(Conf{"name": "wan", "bridge": "wan0", "ipam": s.IPAM("10.61.0.0/24", "fd61::/64")}))
		ExpectOK("ADD", s.Call(open, "ADD", w.behind(result, Conf{"name": "wan"}, Port("tcp", 8081, 80))))
		Serve(limited.Space, "tcp", 80)
		Serve(open.Space, "tcp", 80)
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
		ExpectSeen(s.Outside, "tcp", HostV4, "8081", OutsideV4)
		ExpectSeen(s.Outside, "tcp", HostV6, "8081", OutsideV6)
	})

	It("allowFrom is read before anything is changed", func() {
		b, result := s.Attach(unmasqueraded(s))
		before := s.Settled()
		ExpectError(s.Call(b, "ADD", w.behind(result, Conf{"allowFrom": []string{"10.0.0.0/64"}}, Port("tcp", 8080, 80))), 7, "allowFrom[0]", "10.0.0.0/64")
		s.ExpectEqual(before)
	})

	It("conditions of one attachment are not another's", func() {
		limited, c := w.published(s, Conf{"conditionsV4": []string{"!", "-s", OutsideV4}, "conditionsV6": []string{"-d", "2001:db8:9::/64"}}, Port("tcp", 8080, 80))
		open, _ := w.published(s, nil, Port("tcp", 8081, 80))
		Serve(limited.Space, "tcp", 80)
		Serve(open.Space, "tcp", 80)
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
		ExpectRefused(s.Outside, "tcp", HostV6, "8080")
		ExpectSeen(s.Host, "tcp", HostV4, "8080")
		ExpectSeen(s.Outside, "tcp", HostV4, "8081", OutsideV4)
		ExpectSeen(s.Outside, "tcp", HostV6, "8081", OutsideV6)
		ExpectOK("CHECK", s.Call(limited, "CHECK", c))
		ExpectOK("DEL", s.Call(limited, "DEL", c))
		ExpectSeen(s.Outside, "tcp", HostV4, "8081", OutsideV4)
	})

	It("hostPortCheck tells of a process that listens, and with strict it is an error", func() {
		b, result := s.Attach(unmasqueraded(s))
		Serve(s.Host, "tcp", 8080)
		c := w.behind(result, nil, Port("tcp", 8080, 80))
		before := s.Settled()
		ExpectError(s.Call(b, "ADD", c.With(Conf{"hostPortCheck": "strict"})), Conflict, "hostPort 8080/tcp", "a process of the host listens")
		s.ExpectEqual(before)
		quiet := s.Call(b, "ADD", c.With(Conf{"hostPortCheck": "off"}))
		ExpectOK("ADD", quiet)
		Expect(string(quiet.Stderr)).To(BeEmpty())
		ExpectOK("DEL", s.Call(b, "DEL", c))
		told := s.Call(b, "ADD", c)
		ExpectOK("ADD", told)
		Expect(string(told.Stderr)).To(ContainSubstring("hostPort 8080/tcp: a process of the host listens on"))
	})

	It("addresses of services on a dummy device are not the host's", func() {
		if _, err := Try(s.Host, "", "ip", "link", "add", "kube-ipvs0", "type", "dummy"); err != nil {
			Missing(GinkgoT(), "dummy devices ("+err.Error()+")")
		}
		const vip4, vip6, named = "203.0.113.96", "2001:db8:f::96", "203.0.113.97"
		for _, addr := range []string{vip4 + "/32", vip6 + "/128", named + "/32"} {
			Program(s.Host, "", "ip", "addr", "add", addr, "dev", "kube-ipvs0")
		}
		b, c := w.published(s, nil, Port("tcp", 8080, 80), with(Port("tcp", 8081, 80), map[string]any{"hostIP": named}))
		Serve(b.Space, "tcp", 80)
		Expect(s.Outside.Route(vip4+"/32", HostV4)).To(Succeed())
		Expect(s.Outside.Route(vip6+"/128", HostV6)).To(Succeed())
		Expect(s.Outside.Route(named+"/32", HostV4)).To(Succeed())
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(s.Outside, "tcp", named, "8081", OutsideV4)
		for _, vip := range []string{vip4, vip6} {
			ExpectRefused(s.Outside, "tcp", vip, "8080")
			ExpectRefused(s.Host, "tcp", vip, "8080")
		}
		ExpectOK("CHECK", s.Call(b, "CHECK", c))
	})
}, ways)
