package operator_test

import (
	"encoding/json"
	"net"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// boxed is a node whose containers may reach little.
func boxed() *Node {
	GinkgoHelper()
	n := newNode(stage.Conf{"isolation": "network", "egress": stage.Conf{
		"default": "deny",
		"allow":   []stage.Conf{{"to": stage.OutsideV4, "ports": []any{443, "8000-8999"}}, {"to": "@web"}, {"to": "host", "protocol": "icmp"}, {"to": "2001:db8::/32"}},
		"deny":    []stage.Conf{{"to": "metadata"}},
	}})
	n.add("box")
	n.add("other")
	return n
}

var _ = Describe("egress", func() {
	It("is told by trace: to whom a container's packet gets, and which rule refuses it", func() {
		n := boxed()
		for to, says := range map[string]string{
			stage.OutsideV4 + ":443":           "egress-lan-",
			stage.OutsideV4 + ":8500/tcp":      "it leaves by uplink",
			"[" + stage.OutsideV6 + "]:53/udp": "it gets there",
			stage.OutsideV4 + ":443/tcp":       "masq-lan-",
		} {
			Expect(n.ok("trace", "lan/box", to)).To(ContainSubstring(says), to)
		}
		for to, says := range map[string]string{
			stage.OutsideV4 + ":80":           "chain inet bridgeport egress-lan-",
			"169.254.169.254:80":              "chain inet bridgeport egress-lan-",
			stage.GatewayV4 + ":22":           "chain inet bridgeport egress-lan-",
			stage.SecondV4 + ":80":            "chain bridge bridgeport egress-lan-",
			"[" + stage.SecondV6 + "]:53/udp": "chain bridge bridgeport egress-lan-",
		} {
			r := n.ran("trace", "lan/box", to)
			Expect(r.Status).To(Equal(2), r.Out)
			Expect(r.Out).To(ContainSubstring("refuses it"), to)
			Expect(r.Out).To(ContainSubstring(says), to)
		}
		Expect(n.ran("trace", "lan/nobody", stage.OutsideV4+":80").Err).To(ContainSubstring("no such attachment"))
	})

	It("is told by exposure --egress, with what was refused", func() {
		n := boxed()
		for range 3 {
			_, err := n.Boxes[0].Ask("tcp", net.JoinHostPort(stage.OutsideV4, "80"), stage.Haste)
			Expect(err).To(HaveOccurred())
		}
		Expect(n.ok("exposure", "--egress")).To(And(
			ContainSubstring("allow 203.0.113.9 tcp 443, 8000-8999\n"), ContainSubstring("allow @web\n"), ContainSubstring("allow host icmp\n"),
			ContainSubstring("deny 169.254.169.254, fd00:ec2::254"), ContainSubstring("deny all else\n"),
		))
		var list []struct {
			Name    string
			Rules   []string
			Refused int
		}
		Expect(json.Unmarshal([]byte(n.ok("exposure", "--egress", "-o", "json")), &list)).To(Succeed())
		Expect(list).To(HaveLen(2))
		Expect(list[0].Refused).To(BeNumerically("==", 3), "and nothing that the kernel sends on its own")
		Expect(newNode(nil).ok("exposure", "--egress")).To(ContainSubstring("no network has egress"))
	})

	It("is told by doctor: entries that can't match", func() {
		n := boxed()
		r := n.ran("doctor", "-v")
		Expect(r.Out).To(ContainSubstring("egress.allow[1]: the sets names-web4 and names-web6 have no address"))
		stage.Program(n.Host, "", "nft", "add element inet bridgeport names-web4 { 192.0.2.1 }")
		n.expectWell()
	})

	It("is put back by repair", func() {
		n := boxed()
		stage.Program(n.Host, "", "nft", "add element inet bridgeport names-web4 { 192.0.2.1 }")
		for _, break_ := range []func(){
			func() { stage.EmptySet(n.Host, stage.NAT, "egress4"); stage.EmptySet(n.Host, stage.NAT, "isolated6") },
			func() { stage.EmptySet(n.Host, stage.Frames, "neighbours") },
			func() { n.nft("flush chain inet bridgeport egress") },
			func() { n.nft("flush chain bridge bridgeport answers") },
			func() { n.nft("flush ruleset") },
		} {
			break_()
			Expect(n.ran("doctor").Status).NotTo(BeZero())
			n.ok("repair")
			for _, to := range []string{stage.OutsideV4 + ":80", stage.SecondV4 + ":80"} {
				Expect(n.ran("trace", "lan/box", to).Out).To(ContainSubstring("refuses it"))
			}
			_, err := n.Boxes[0].Ask("tcp", net.JoinHostPort(stage.OutsideV4, "80"), stage.Haste)
			Expect(err).To(HaveOccurred())
			stage.Program(n.Host, "", "nft", "add element inet bridgeport names-web4 { 192.0.2.1 }")
			n.expectWell()
		}
	})
})
