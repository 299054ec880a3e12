package operator_test

import (
	"encoding/json"
	"os"
	"regexp"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

type listed struct {
	Attachments []struct {
		Container, State, HostLink, MAC, Bridge string
		Notes, Left, Addresses                  []string
		MTU                                     int
		Ports                                   []struct{ HostPort int }
		Traffic                                 struct{ RxPackets, TxPackets int }
	}
	Networks []struct {
		Name        string
		Attachments int
		Pools       []struct{ Used int }
	}
}

func (n *Node) listed() (l listed) {
	GinkgoHelper()
	Expect(json.Unmarshal([]byte(n.ok("ls", "-o", "json")), &l)).To(Succeed())
	return l
}

// state of one container, as ls tells it.
func (n *Node) state(container string) string {
	GinkgoHelper()
	for _, a := range n.listed().Attachments {
		if a.Container == container {
			return a.State
		}
	}
	return "none"
}

var _ = Describe("ls", func() {
	It("lists three attachments", func() {
		n := three()
		golden("ls.txt", n.ok("ls"))
		golden("ls-wide.txt", n.ok("ls", "-w"))
		golden("ls.yaml", n.ok("ls", "-o", "yaml", "--network", "none"))
		l := n.listed()
		Expect(l.Attachments).To(HaveLen(3))
		stage.ExpectPing(n.Boxes[0].Space, stage.GatewayV4)
		web := n.listed().Attachments[0]
		Expect(web.MAC).To(Equal(stage.MAC(n.Boxes[0].Space, "eth0").String()))
		Expect(web.Traffic.RxPackets).To(BeNumerically(">", 0))
		Expect(web.Addresses).To(Equal([]string{stage.FirstV4, stage.FirstV6}))
	})

	It("tells drift, orphans and life without a cache", func() {
		n := three()
		stage.EmptySet(n.Host, stage.NAT, "masquerade4")
		Expect(n.Boxes[1].Space.Close()).To(Succeed())
		Eventually(func() string { return n.state("db") }).Should(Equal("orphan"))
		golden("ls-broken.txt", n.ok("ls"))
		Expect(os.RemoveAll(n.Dir + "/cache")).To(Succeed())
		Expect(n.state("dns")).To(Equal("ok"), "its link and lease are there")
		Expect(n.state("db")).To(Equal("orphan"))
	})

	It("knows the states", func() {
		n := three()
		Expect(n.ok("ls", "--state", "ok")).To(ContainSubstring("3 attachments"))
		for _, state := range []string{"nonsense", "OK", "ok,drift"} {
			r := n.ran("ls", "--state", state)
			Expect(r.Status).To(Equal(1), state)
			Expect(r.Err).To(ContainSubstring("none of ok, foreign, drift, orphan, unsure"))
		}
	})

	It("has colours for terminals only", func() {
		Expect(three().ok("ls")).NotTo(ContainSubstring("\x1b["))
	})
})

var _ = Describe("who", func() {
	for name, c := range map[string]struct {
		portmap stage.Conf
		backend string
	}{
		"nothing said":       {nil, "missing"},
		"a mark of nftables": {stage.Conf{"markMasqBit": 5}, "missing"},
		"nftables":           {stage.Conf{"backend": "nftables", "markMasqBit": 5}, "missing"},
		"iptables":           {stage.Conf{"backend": "iptables"}, "iptables"},
	} {
		It("tells whose rules a port has with "+name, func() {
			n := newNode(nil)
			list := stage.List(n.Bridge(stage.SubnetV4, stage.SubnetV6).With(stage.Conf{"hairpinMode": true}), stage.Portmap().With(c.portmap))
			n.Net = n.Network(list)
			n.add("web", stage.Port("tcp", 8080, 80))
			if c.backend == "missing" {
				Expect(n.ok("who", "8080")).To(ContainSubstring("rules: nftables"))
				stage.EmptySet(n.Host, stage.NAT, "anyport6")
				Expect(n.ok("who", "8080")).To(And(ContainSubstring("rules: nftables"), ContainSubstring("rules: missing")))
				stage.EmptySet(n.Host, stage.NAT, "anyport4")
			}
			Expect(n.ok("who", "8080")).To(ContainSubstring("rules: " + c.backend))
			Expect(n.ok("who", "8080")).NotTo(ContainSubstring("rules: nftables"))
		})
	}

	It("finds the holder", func() {
		n := three()
		golden("who-address.txt", n.ok("who", stage.FirstV4))
		golden("who-port.txt", n.ok("who", "8080/tcp"))
		age := regexp.MustCompile(`\([^)]* ago`)
		who := func(word string) string { return age.ReplaceAllString(n.ok("who", word), "(long ago") }
		for _, word := range []string{"8080", "tcp/8080", "tcp/8080→80", "8080→80/tcp", "8080->80/tcp"} {
			Expect(who(word)).To(Equal(who("8080/tcp")), word)
		}
		Expect(n.ok("ls")).To(ContainSubstring("8080→80/tcp"))
		Expect(n.ok("who", "udp/"+stage.HostV4+":53")).To(ContainSubstring("lan/dns/eth0"))
		Expect(n.ran("who", "8081/tcp").Status).To(Equal(1))
		Expect(n.ran("who", "8080/udp").Status).To(Equal(1))
		link := n.listed().Attachments[1].HostLink
		golden("who-link.txt", n.ok("who", link))
		Expect(n.ok("who", stage.GatewayV4)).To(ContainSubstring("the host"))
		Expect(n.ran("who", "10.60.0.99").Status).To(Equal(1))
		Expect(n.ran("who", "tcp/99999").Err).To(ContainSubstring("outside 1-65535"))
		stage.Serve(n.Host, "tcp", 7777)
		Expect(n.ok("who", "tcp/7777")).To(ContainSubstring("listens on 0.0.0.0:7777"))
		for _, b := range n.Boxes {
			Expect(b.Close()).To(Succeed())
		}
		Eventually(func() string { return n.ok("who", stage.SecondV4) }).Should(ContainSubstring("dead"))
	})
})
