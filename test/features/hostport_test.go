package features_test

import (
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/nftables"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// chained is portmap by nftables behind an attachment.
func chained(prev *types100.Result, changes Conf, ports ...map[string]any) Conf {
	return Chained("nftables", prev, ports...).With(changes)
}

var _ = Describe("portmap by nftables", func() {
	var (
		s *Stage
		b *Box
		c Conf
	)
	publish := func(changes Conf, ports ...map[string]any) {
		GinkgoHelper()
		var result *types100.Result
		b, result = s.Attach(s.Bridge(SubnetV4, SubnetV6))
		c = chained(result, changes, ports...)
		ExpectOK("ADD", s.Call(b, "ADD", c))
		Serve(b.Space, "tcp", 80)
	}
	BeforeEach(func() { s = NewStage(GinkgoT()) })

	It("counts the connections of each port", func() {
		publish(nil, Port("tcp", 8080, 80), Port("tcp", 8081, 80))
		for range 3 {
			ExpectSeen(s.Outside, "tcp", HostV4, "8080")
		}
		counts := map[uint64]int{}
		for _, e := range Elements(s.Host, NAT, "anyport4") {
			Expect(e.Counter).NotTo(BeNil())
			counts[e.Counter.Packets]++
		}
		Expect(counts).To(Equal(map[uint64]int{3: 1, 0: 1}))
		Expect(Program(s.Host, "", "nft", "list", "map", "inet", "bridgeport", "anyport4")).To(ContainSubstring("tcp . 8080 counter packets 3 "))
	})

	It("sets the bit of markMasqBit for clients that are masqueraded", func() {
		publish(Conf{"markMasqBit": 5}, Port("tcp", 8080, 80))
		Program(s.Host, "table inet seen { chain marked { type filter hook postrouting priority 0; meta mark & 0x20 != 0 counter; }; }", "nft", "-f", "-")
		marked := func() string {
			text := Program(s.Host, "", "nft", "list", "chain", "inet", "seen", "marked")
			_, text, _ = strings.Cut(text, "packets ")
			return strings.Fields(text)[0]
		}
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		Expect(marked()).To(Equal("0"))
		ExpectSeen(s.Host, "tcp", "127.0.0.1", "8080", GatewayV4)
		Expect(marked()).NotTo(Equal("0"))
		ExpectOK("CHECK", s.Call(b, "CHECK", c))
	})

	It("leaves to services the addresses that are known as theirs", func() {
		publish(nil, Port("tcp", 8080, 80))
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		Program(s.Host, "", "nft", "add", "element", "inet", "bridgeport", "vips4", "{ "+HostV4+" }")
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
		ExpectSeen(s.Outside, "tcp", HostV6, "8080", OutsideV6)
	})

	It("takes conditions in nft's words", func() {
		publish(Conf{"conditionsV4": []string{"iifname", "uplink", "ip", "saddr", "{ " + OutsideV4 + ", 192.0.2.0/24 }"}}, Port("tcp", 8080, 80))
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectRefused(s.Host, "tcp", HostV4, "8080") // comes in by no interface
		ExpectSeen(s.Host, "tcp", HostV6, "8080")
		ExpectOK("CHECK", s.Call(b, "CHECK", c))
		ExpectError(s.Call(b, "ADD", c.With(Conf{"conditionsV4": []string{"ct", "state", "new"}})), 2, "conditionsV4", `"ct"`, `"backend": "iptables"`)
	})

	It("says in CHECK that rules stand in the wrong order", func() {
		publish(nil, Port("tcp", 8080, 80))
		ExpectOK("CHECK", s.Call(b, "CHECK", c))
		Rules(s.Host, func(n *nftables.Conn) error {
			chain := &nftables.Chain{Name: "hostports", Table: NAT}
			rules, err := n.GetRules(NAT, chain)
			if err != nil {
				return err
			}
			last := rules[len(rules)-1]
			if err := n.DelRule(last); err != nil {
				return err
			}
			n.InsertRule(&nftables.Rule{Table: NAT, Chain: chain, Exprs: last.Exprs, UserData: last.UserData})
			return nil
		})
		ExpectError(s.Call(b, "CHECK", c), Drift, "stands before those that it must follow")
	})

	It("leads to the first addresses, and masquerades clients in all subnets", func() {
		var result *types100.Result
		b, result = s.Attach(s.Bridge(SubnetV4, "10.62.0.0/24", SubnetV6).With(Conf{"hairpinMode": true}))
		Expect(result.IPs).To(HaveLen(3))
		c = chained(result, nil, Port("tcp", 8080, 80))
		ExpectOK("ADD", s.Call(b, "ADD", c))
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(b.Space, "tcp", HostV4, "8080")
		Expect(Program(s.Host, "", "nft", "list", "table", "inet", "bridgeport")).To(And(
			ContainSubstring("ip saddr "+SubnetV4+" masquerade"), ContainSubstring("ip saddr 10.62.0.0/24 masquerade")))
		ExpectOK("CHECK", s.Call(b, "CHECK", c))
	})

	It("takes 1,000 ports in one range, and gives them back", func() {
		publish(nil, map[string]any{"hostPort": 10000, "containerPort": 10000, "protocol": "udp", "range": 1000})
		Expect(Elements(s.Host, NAT, "anyport4")).To(HaveLen(1000))
		ExpectOK("CHECK", s.Call(b, "CHECK", c))
		ExpectOK("DEL", s.Call(b, "DEL", c))
		Expect(Elements(s.Host, NAT, "anyport4")).To(BeEmpty())
		Expect(Elements(s.Host, NAT, "anyport6")).To(BeEmpty())
	})
})
