package operator_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// claim is a state of a node, and what a packet from the outside to the published port meets there.
type claim struct {
	state   string
	breaks  func(*Node)
	arrives bool
	// trace names the place, doctor the check; "" where it has nothing to say.
	trace, doctor string
	certain       bool // trace does not say "may"
}

// block makes somebody's chain at the forward hook.
func block(policy string, rules ...string) func(*Node) {
	return func(n *Node) {
		n.nft(fmt.Sprintf(`table inet mine {
			chain strict { oifname "lan0" reject; }
			chain f { type filter hook forward priority 0; policy %s; %s; }
		}`, policy, strings.Join(rules, "; ")))
	}
}

// uplink2 is a second wire to the outside, without a default route in the main table.
func uplink2(n *Node) {
	GinkgoHelper()
	Expect(stage.Wire(n.Host, "uplink2", "203.0.114.2/24", n.Outside, "eth1", "203.0.114.9/24")).To(Succeed())
}

// twoNetworks plugs the first container into a second network, by which it then answers.
func twoNetworks(strict bool) func(*Node) {
	return func(n *Node) {
		GinkgoHelper()
		list := stage.List(n.Bridge("10.61.0.0/24").With(stage.Conf{"name": "two", "bridge": "two0", "isDefaultGateway": nil, "isGateway": true, "ipMasq": nil}))
		Expect(os.WriteFile(n.conf("20-two.conflist"), list, 0o644)).To(Succeed())
		_, err := n.Network(list).Add(n.Boxes[0].ID, n.Boxes[0].Path, "eth1", nil)
		Expect(err).NotTo(HaveOccurred())
		n.inside(0, "route replace default via 10.61.0.1 dev eth1")
		n.sysctl("net/ipv4/conf/all/rp_filter", "0")
		n.sysctl("net/ipv4/conf/two0/rp_filter", map[bool]string{true: "1", false: "2"}[strict])
	}
}

// byRule makes packets that the host sends from its address on uplink2 leave there, as on hosts with two ways out.
func byRule(n *Node) {
	uplink2(n)
	n.ip("route add default via 203.0.114.9 dev uplink2 table 77")
	n.ip("rule add from 203.0.114.2 lookup 77 pref 100")
}

var claims = []claim{
	{"well", func(*Node) {}, true, "", "", true},
	{"others drop all", block("drop"), false, "inet mine f", "forward-policy", true},
	{"others let published ports in", block("drop", "ct state established,related accept", "ct status dnat accept"), true, "", "forward-policy", true},
	{"others are strict about published ports", block("accept", "ct status dnat jump strict"), false, "inet mine strict", "forward-ports", true},
	{"others are strict about the protocol", block("accept", "meta l4proto tcp iifname uplink reject"), false, "inet mine f", "forward-ports", true},
	{"others are strict about someone else", block("accept", "ip saddr 198.51.100.0/24 drop", "udp dport 54 drop"), true, "", "", true},
	{"others look at a mark", block("accept", "meta mark 7 drop"), true, "may drop it", "", false},
	{"the host does not forward", func(n *Node) { n.sysctl("net/ipv4/ip_forward", "0") }, false, "does not forward", "ip-forward", true},
	{"the bridge does not forward", func(n *Node) { n.sysctl("net/ipv4/conf/lan0/forwarding", "0") }, false, "does not forward what comes in by lan0", "drift", true},
	{"the uplink does not forward", func(n *Node) { n.sysctl("net/ipv4/conf/uplink/forwarding", "0") }, false, "does not forward what comes in by uplink", "ip-forward", true},
	{"the rules are gone", func(n *Node) { n.nft("flush ruleset") }, false, "nobody publishes", "rules-missing", true},
	{"the chain is empty", func(n *Node) { n.nft("flush chain inet bridgeport hostports") }, false, "rules that read it are missing", "rules-missing", true},
	{"the element is gone", func(n *Node) { stage.EmptySet(n.Host, stage.NAT, "anyport4") }, false, "nobody publishes", "elements-missing", true},
	{"somebody sends the port elsewhere", func(n *Node) {
		n.nft("table ip mine { chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 redirect to :22; } }")
	}, false, "sends 8080/tcp elsewhere", "port-shadowed", false},
	{"the port is unplugged", func(n *Node) { n.ip("link set " + n.hostLink(0) + " nomaster") }, false, "plugged into no bridge", "port-unplugged", true},
	{"the bridge is down", func(n *Node) { n.ip("link set lan0 down") }, false, "route", "bridge-down", true},
	{"the container has lost its address", func(n *Node) { n.inside(0, "address del 10.60.0.2/24 dev eth0") }, false, "has not the address", "address-drift", true},
	{"the container has lost its route", func(n *Node) { n.inside(0, "route del default") }, false, "has no route", "address-drift", true},
	{"a rule sends the container's replies nowhere", func(n *Node) {
		n.ip("rule add from 10.60.0.0/24 prohibit pref 100")
	}, false, "ip rule", "reply-uplink", true},
	{"a rule sends requests elsewhere", func(n *Node) {
		uplink2(n)
		n.ip("route add 10.60.0.0/24 dev uplink2 table 77")
		n.ip("rule add iif uplink to 10.60.0.0/24 lookup 77 pref 100")
	}, false, "table 77", "", true},
	{"the container answers by another network", twoNetworks(false), true, "by eth1, another link", "address-drift", true},
	{"the container answers by another network, which is strict", twoNetworks(true), false, "by eth1, another link of the container than the request's, to two0, which is strict", "rp-filter", true},
	{"the host has a second way out", byRule, true, "", "reply-uplink", true},
}

// A port by the second way out of a host is reached, but its replies leave by the first.
var _ = Describe("trace by a link", func() {
	It("tells that replies leave elsewhere", func() {
		n := three()
		stage.Serve(n.Boxes[0].Space, "tcp", 80)
		byRule(n)
		out := n.ok("trace", "--in", "uplink2", "198.51.100.7", "203.0.114.2:8080")
		Expect(out).To(ContainSubstring("sends it by uplink (table 254), though the request came in by uplink2"))
		Expect(out).To(ContainSubstring("may arrive"))
		n.sysctl("net/ipv4/conf/all/rp_filter", "1")
		n.sysctl("net/ipv4/conf/uplink2/rp_filter", "1")
		r := n.ran("trace", "--in", "uplink2", "198.51.100.7", "203.0.114.2:8080")
		Expect(r.Status).To(Equal(2))
		Expect(r.Out).To(ContainSubstring("uplink2 is strict"))
		r = n.ran("trace", "--in", "nosuch", "198.51.100.7", "203.0.114.2:8080")
		Expect(r.Status).To(Equal(2))
		Expect(r.Out).To(ContainSubstring("no link nosuch"))
	})
})

var _ = Describe("what the command says of a published port", func() {
	for _, c := range claims {
		It("is true where "+c.state, func() {
			n := three()
			stage.Serve(n.Boxes[0].Space, "tcp", 80)
			stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "8080", stage.OutsideV4)
			c.breaks(n)
			patience := stage.Haste
			if c.arrives { // on a busy machine only the second SYN may
				patience = stage.Patience
			}
			_, err := n.Outside.Ask("tcp", stage.HostV4+":8080", patience)
			Expect(err == nil).To(Equal(c.arrives), "%v", err)

			r := n.ran("trace", stage.OutsideV4, stage.HostV4+":8080")
			Expect(r.Out).To(ContainSubstring(c.trace))
			if c.certain {
				Expect(r.Status == 0).To(Equal(c.arrives), r.Out)
				Expect(r.Out).NotTo(ContainSubstring("may arrive"))
			} else {
				Expect(r.Status).To(BeZero(), r.Out)
				Expect(r.Out).To(ContainSubstring("may arrive"))
			}

			var out struct{ Findings []struct{ Check string } }
			Expect(json.Unmarshal([]byte(n.raw("doctor", "-o", "json")), &out)).To(Succeed())
			var checks []string
			for _, f := range out.Findings {
				checks = append(checks, f.Check)
			}
			if c.doctor == "" {
				Expect(checks).To(BeEmpty())
			} else {
				Expect(checks).To(ContainElement(c.doctor))
			}
		})
	}
})
