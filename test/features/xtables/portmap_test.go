package xtables_test

import (
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// chained is portmap with iptables behind an attachment.
func chained(prev *types100.Result, changes Conf, ports ...map[string]any) Conf {
	return Chained("iptables", prev, ports...).With(changes)
}

// unmasqueraded is the usual network with no rules of its own.
func unmasqueraded(s *Stage) Conf {
	return s.Bridge(SubnetV4, SubnetV6).With(Conf{"ipMasq": nil, "hairpinMode": true})
}

func these(ports ...map[string]any) []map[string]any { return ports }

func manyPorts(n int) (list []map[string]any) {
	for i := range n {
		list = append(list, Port("tcp", 8000+i, 80+i))
	}
	return list
}

var _ = DescribeTableSubtree("portmap's iptables over", func(variant string) {
	var (
		s *Stage
		x Xtables
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		x = NewXtables(s, variant)
	})

	// Where a key's spec compares IPv4 alone, the reference's rules of IPv6 are wrong:
	// it publishes a port of an IPv4 address there too, and over legacy tables only the
	// first of several ports.
	const both, nftBoth, ipv4 = "", "nft", "-"
	DescribeTable("are the rules of the reference:", func(families string, changes Conf, ports []map[string]any) {
		programs := Families
		if families == ipv4 || families == nftBoth && variant != "nft" {
			programs = Families[:1]
		}
		twin := NewStage(GinkgoT())
		twin.Bin, twin.Env = Reference(GinkgoT(), "bridge", "portmap", "host-local"), s.Env
		for _, host := range []*Space{s.Host, twin.Host} {
			x.Both(host, "-t nat -N ADMIN-MARK")
		}
		ours, result := s.Attach(unmasqueraded(s))
		theirs := twin.Container()
		theirs.ID = ours.ID // rules are named after it
		theirResult := twin.Add(theirs, unmasqueraded(twin))

		ExpectOK("ADD", s.Call(ours, "ADD", chained(result, changes, ports...)))
		ExpectOK("ADD", twin.Call(theirs, "ADD", chained(theirResult, changes, ports...)))
		Expect(x.Attachments(s.Host)).NotTo(BeEmpty())
		x.ExpectTwins(s.Host, twin.Host, programs...)
		ExpectOK("CHECK", s.Call(ours, "CHECK", chained(result, changes, ports...)))

		ExpectOK("DEL", s.Call(ours, "DEL", chained(result, changes, ports...)))
		ExpectOK("DEL", twin.Call(theirs, "DEL", chained(theirResult, changes, ports...)))
		x.ExpectTwins(s.Host, twin.Host, programs...)
	},
		Entry("one port", both, Conf{}, these(Port("tcp", 8080, 80))),
		Entry("ports of two protocols", nftBoth, Conf{}, these(Port("udp", 5353, 53), Port("tcp", 8080, 80), Port("tcp", 8443, 443))),
		Entry("an address of the host", ipv4, Conf{}, these(map[string]any{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": HostV4})),
		Entry("more ports than fit into one rule", nftBoth, Conf{}, manyPorts(17)),
		Entry("another mark", both, Conf{"markMasqBit": 5}, these(Port("tcp", 8080, 80))),
		Entry("somebody's chain for the mark", both, Conf{"externalSetMarkChain": "ADMIN-MARK"}, these(Port("tcp", 8080, 80))),
		Entry("conditions", both, Conf{"conditionsV4": []string{"!", "-s", "192.0.2.0/24"}, "conditionsV6": []string{"!", "-d", "2001:db8:7::/64"}}, these(Port("tcp", 8080, 80))),
		Entry("every client masqueraded", both, Conf{"masqAll": true}, these(Port("tcp", 8080, 80))),
		Entry("no client masqueraded", both, Conf{"snat": false}, these(Port("tcp", 8080, 80))),
	)

	It("lead everybody to the container", func() {
		b, result := s.Attach(unmasqueraded(s))
		client, _ := s.Attach(unmasqueraded(s))
		ExpectOK("ADD", s.Call(b, "ADD", chained(result, nil, Port("tcp", 8080, 80))))
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(s.Outside, "tcp", HostV6, "8080", OutsideV6)
		for _, from := range []*Space{s.Host, client.Space, b.Space} {
			ExpectSeen(from, "tcp", HostV4, "8080")
			ExpectSeen(from, "tcp", HostV6, "8080")
		}
		ExpectSeen(s.Host, "tcp", "127.0.0.1", "8080")
	})

	It("refuse a port of another container by its name, and nothing is left", func() {
		holder, result := s.Attach(unmasqueraded(s))
		ExpectOK("ADD", s.Call(holder, "ADD", chained(result, nil, Port("tcp", 8080, 80))))
		late, lateResult := s.Attach(unmasqueraded(s))
		before := s.Settled()
		ExpectError(s.Call(late, "ADD", chained(lateResult, nil, Port("tcp", 8079, 80), Port("tcp", 8080, 80))), Conflict, "8080", holder.ID)
		s.ExpectEqual(before)
	})

	DescribeTable("go by DEL", func(changes Conf) {
		b, result := s.Attach(unmasqueraded(s))
		ports := Port("tcp", 8080, 80)
		ExpectOK("ADD", s.Call(b, "ADD", chained(result, nil, ports)))
		ExpectOK("DEL", s.Call(b, "DEL", chained(result, nil, ports)))
		before := s.Settled()
		ExpectOK("ADD", s.Call(b, "ADD", chained(result, nil, ports)))
		for range 2 {
			ExpectOK("DEL", s.Call(b, "DEL", chained(result, changes, ports)))
			s.ExpectEqual(before)
		}
	},
		Entry("without ports", Conf{"runtimeConfig": nil}),
		Entry("without the previous result", Conf{"prevResult": nil}),
		Entry("after the backend was changed", Conf{"backend": "nftables"}),
		Entry("after the backend was left out", Conf{"backend": nil}),
	)

	It("go by GC where they are not valid any more", func() {
		b, result := s.Attach(unmasqueraded(s))
		stays, staysResult := s.Attach(unmasqueraded(s))
		ExpectOK("ADD", s.Call(stays, "ADD", chained(staysResult, nil, Port("tcp", 8081, 80))))
		before := s.Settled()
		ExpectOK("ADD", s.Call(b, "ADD", chained(result, nil, Port("tcp", 8080, 80))))
		s.GC(Conf{"type": "portmap", "backend": "iptables"}, stays)
		s.ExpectEqual(before)
	})

	DescribeTable("CHECK names what was deleted:", func(program string, pick func(string) bool) {
		b, result := s.Attach(unmasqueraded(s))
		c := chained(result, nil, Port("tcp", 8080, 80))
		ExpectOK("ADD", s.Call(b, "ADD", c))
		ExpectOK("CHECK", s.Call(b, "CHECK", c))
		deleted := strings.Fields(x.Delete(s.Host, program, pick))[1]
		ExpectError(s.Call(b, "CHECK", c), Drift, deleted)
	},
		Entry("the port", "iptables", contains("--to-destination")),
		Entry("the port of IPv6", "ip6tables", contains("--to-destination")),
		Entry("the entry", "iptables", contains("CNI-HOSTPORT-DNAT", "8080")),
		Entry("the way in", "iptables", contains("-A PREROUTING")),
		Entry("the host's own way in", "iptables", contains("-A OUTPUT")),
		Entry("the way back", "iptables", contains("-A POSTROUTING", "CNI-HOSTPORT-MASQ")),
		Entry("the mark", "iptables", contains("-A CNI-HOSTPORT-SETMARK")),
		Entry("the masquerade", "iptables", contains("-A CNI-HOSTPORT-MASQ")),
	)

	It("CHECK names a guard of the loopback addresses that was deleted", func() {
		b, result := s.Attach(unmasqueraded(s))
		c := chained(result, nil, Port("tcp", 8080, 80))
		ExpectOK("ADD", s.Call(b, "ADD", c))
		x.Run(s.Host, "-t raw -D PREROUTING ! -i lo -j CNI-HOSTPORT-GUARD")
		ExpectError(s.Call(b, "CHECK", c), Drift, "-t raw -A PREROUTING ! -i lo -j CNI-HOSTPORT-GUARD")
	})
},
	Entry("nf_tables", "nft"),
	Entry("legacy tables", "legacy"),
)

var _ = Describe("ports of the reference's portmap", func() {
	It("by iptables are taken back by ours", func() {
		s := NewStage(GinkgoT())
		NewXtables(s, "nft")
		b, result := s.Attach(unmasqueraded(s))
		c := chained(result, nil, Port("tcp", 8080, 80))
		ours, theirs := s.Bin, Reference(GinkgoT(), "portmap")
		s.Bin = theirs
		ExpectOK("ADD", s.Call(b, "ADD", c))
		ExpectOK("DEL", s.Call(b, "DEL", c))
		before := s.Settled()
		ExpectOK("ADD", s.Call(b, "ADD", c))
		s.Bin = ours
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectOK("DEL", s.Call(b, "DEL", c))
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
		s.ExpectEqual(before)
	})
})
