package xtables_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The reference with its nftables backends: tables ip and ip6 cni_hostport, and inet
// cni_plugins_masquerade.
var _ = Describe("what the reference made by nftables", func() {
	var (
		s         *Stage
		b         *Box
		bridge, c Conf
	)
	rules := func() string {
		GinkgoHelper()
		return Program(s.Host, "", "nft", "list", "ruleset")
	}
	wantAll := func() {
		GinkgoHelper()
		Expect(rules()).To(And(ContainSubstring("dport 8080"), ContainSubstring("id: "+b.ID)))
	}
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		ours := s.Bin
		s.Bin = Reference(GinkgoT(), "bridge", "portmap", "host-local")
		bridge = s.Bridge(SubnetV4, SubnetV6).With(Conf{"ipMasqBackend": "nftables"})
		var result *types100.Result
		b, result = s.Attach(bridge)
		bridge = bridge.With(Conf{"prevResult": result})
		c = way{"nftables", ""}.behind(result, nil, Port("tcp", 8080, 80))
		ExpectOK("ADD", s.Call(b, "ADD", c))
		wantAll()
		s.Bin = ours // the node changes to us
	})

	It("goes by our DEL", func() {
		for range 2 {
			ExpectOK("DEL", s.Call(b, "DEL", c))
			ExpectOK("DEL", s.Call(b, "DEL", bridge))
			Expect(rules()).NotTo(ContainSubstring(b.ID))
		}
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
	})

	It("goes by our DEL without ports, result and namespace", func() {
		Expect(b.Close()).To(Succeed())
		for _, conf := range []Conf{c.With(Conf{"runtimeConfig": nil, "prevResult": nil}), bridge.With(Conf{"prevResult": nil})} {
			call := late(b, conf)
			call.Plugin = conf["type"].(string)
			ExpectOK("DEL", s.Run(call))
		}
		Expect(rules()).NotTo(ContainSubstring(b.ID))
	})

	It("stays at DEL of another container, and of another network or interface of its own", func() {
		elsewhere := Conf{
			"cniVersion": Newest, "interfaces": []Conf{{"name": "eth1", "sandbox": b.Path}},
			"ips": []Conf{{"interface": 0, "address": "10.61.0.2/24"}},
		}
		for _, call := range []Call{
			{ContainerID: s.Container().ID, IfName: "eth0", Config: c.Stdin()},
			{ContainerID: b.ID, IfName: "eth1", Config: c.With(Conf{"name": "wan", "prevResult": elsewhere}).Stdin()},
		} {
			call.Plugin, call.Command = "portmap", "DEL"
			ExpectOK("DEL", s.Run(call))
		}
		ExpectOK("DEL", s.CallAs(b, "eth1", "DEL", bridge.With(Conf{"prevResult": nil})))
		wantAll()
	})

	It("goes by our GC when it is not valid any more, and stays while it is", func() {
		s.GC(Conf{"type": "portmap"}, b)
		s.GC(bridge.With(Conf{"prevResult": nil}), b)
		wantAll()
		s.GC(Conf{"type": "portmap"}) // may be another network's, and is alive
		Expect(rules()).To(ContainSubstring("dport 8080"))
		Expect(b.Close()).To(Succeed())
		Eventually(func() string {
			s.GC(Conf{"type": "portmap"})
			s.GC(bridge.With(Conf{"prevResult": nil}))
			return rules()
		}).WithTimeout(Patience).ShouldNot(ContainSubstring(b.ID))
	})

	It("is told apart by CHECK", func() {
		ExpectError(s.Call(b, "CHECK", c), Drift, "made by another version", "table ip cni_hostport", "table ip6 cni_hostport")
		ExpectError(s.Call(b, "CHECK", bridge), Drift, "made by another version", "inet cni_plugins_masquerade", "link eth0")
	})

	It("keeps its port from ours, as long as it is there", func() {
		other, result := s.Attach(s.Bridge(SubnetV4, SubnetV6).With(Conf{"ipMasqBackend": "nftables"}))
		ours := way{"nftables", ""}.behind(result, nil, Port("tcp", 8080, 80))
		before := s.Settled()
		ExpectError(s.Call(other, "ADD", ours), Conflict, "hostPort 8080/tcp", b.ID, "table ip cni_hostport")
		s.ExpectEqual(before)
		ExpectOK("ADD", s.Call(other, "ADD", way{"nftables", ""}.behind(result, nil, Port("udp", 8080, 80), Port("tcp", 8081, 80))))
		ExpectOK("DEL", s.Call(b, "DEL", c))
		ExpectOK("ADD", s.Call(other, "ADD", ours))
		Serve(other.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	})

	It("makes room for the same container by ours", func() {
		ExpectOK("DEL", s.Call(b, "DEL", c))
		ExpectOK("DEL", s.Call(b, "DEL", bridge))
		bridge = bridge.With(Conf{"prevResult": nil})
		c = c.With(Conf{"prevResult": s.Add(b, bridge)})
		ExpectOK("ADD", s.Call(b, "ADD", c))
		ExpectOK("CHECK", s.Call(b, "CHECK", c))
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	})
})
