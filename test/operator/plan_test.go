package operator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("plan", func() {
	It("prints what ADD then makes, and changes nothing", func() {
		n := newNode(nil)
		before := n.Settled()
		text := n.ok("plan", "--container", "new", "--port", "8000:80", "--port", "127.0.0.1:5353:53/udp")
		n.ExpectEqual(before)
		golden("plan.txt", text)
		again := n.ranWith(nil, string(conflist(n.Stage, nil)), "plan", "-", "--container", "new", "--port", "8000:80", "--port", "127.0.0.1:5353:53/udp")
		Expect(again.Out).To(Equal(text))
		dns := stage.Port("udp", 5353, 53)
		dns["hostIP"] = "127.0.0.1"
		n.add("new", stage.Port("tcp", 8000, 80), dns)
		a := n.listed().Attachments[0]
		for _, word := range append(a.Addresses, a.HostLink, a.MAC) {
			Expect(text).To(ContainSubstring(word))
		}
		// The same objects, as CHECK finds them once they are gone.
		n.nft("flush ruleset")
		for line := range strings.Lines(n.ok("repair", "--dry-run")) {
			if strings.Contains(line, "lan/new/eth0") && strings.HasPrefix(line, "  nft") {
				Expect(text).To(ContainSubstring(strings.TrimSpace(line)))
			}
		}
	})

	// What the shell makes out of the plan works as what ADD makes.
	for name, begin := range map[string]func() *Node{
		"on an empty node":        func() *Node { return newNode(nil) },
		"beside other containers": three,
		"where the rules are partly gone": func() *Node {
			n := three()
			n.nft("flush chain inet bridgeport guard")
			n.nft("add rule inet bridgeport guard iiftype != loopback ip daddr 127.0.0.0/8 drop")
			n.nft("delete chain inet bridgeport loopback6")
			return n
		},
		"with checks, limits and a VLAN": func() *Node {
			return newNode(stage.Conf{"macspoofchk": true, "ipspoofchk": true, "maxConnections": 100, "mtu": 1400, "portIsolation": true})
		},
	} {
		It("makes a working attachment by the shell "+name, func() {
			n := begin()
			twin := &stage.Box{Space: n.Space("twin"), ID: "twin"}
			port := []string{"--port", "9000:80", "--port", "127.0.0.1:9053:53/udp"}
			script := n.raw(append([]string{"plan", "--container", "twin"}, port...)...)
			Expect(script).NotTo(BeEmpty())
			out := n.shell(script, "CNI_NETNS="+twin.Path)
			Expect(out).NotTo(MatchRegexp("(?i)syntax error|not found|not complete|usage"), out)
			stage.Serve(twin.Space, "tcp", 80)
			stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "9000", stage.OutsideV4)
			stage.ExpectPing(twin.Space, stage.OutsideV4, stage.OutsideV6)
			Expect(n.state("twin")).To(Equal("ok"), n.ran("ls").Out)
			Expect(n.ran("trace", stage.OutsideV4, "tcp/9000").Out).To(ContainSubstring("it arrives"))
			Expect(out).NotTo(ContainSubstring("Error"), out)
			guard := stage.Program(n.Host, "", "nft", "list", "chain", "inet", "bridgeport", "guard")
			Expect(strings.Count(guard, "drop")).To(Equal(2), "each rule once:\n%s", guard)
		})
	}

	It("makes an attachment that ADD's result checks", func() {
		n := newNode(nil)
		script := n.raw("plan", "--container", "twin", "--port", "9000:80")
		twin := n.add("twin", stage.Port("tcp", 9000, 80))
		n.Del(twin, n.Bridge(stage.SubnetV4, stage.SubnetV6), nil) // libcni's cache stays
		n.shell(script, "CNI_NETNS="+twin.Path)
		twin.Check(n.Net, n.ports["twin"]...)
	})

	It("says what is wrong", func() {
		n := three()
		Expect(n.ran("plan", "--port", "80").Err).To(ContainSubstring("[hostIP:]hostPort:containerPort"))
		r := n.ranWith(nil, `{"cniVersion": "1.1.0", "name": "x", "plugins": [{"type": "bridge", "mtu": 5}]}`, "plan", "-")
		Expect(r.Err).To(ContainSubstring("mtu: 5 is outside"))
	})
})

const careless = `{
  "cniVersion": "1.0.0",
  "name": "podnet",
  "plugins": [
    {
      "type": "bridge",
      "brigde": "cni0",
      "isGateway": true,
      "ipMask": true,
      "ipam": {
        "type": "host-local",
        "ranges": [[{ "subnet": "10.88.0.0/16", "gateway": "10.89.0.1" }]]
      }
    },
    { "type": "portmap", "markMasqBit": 99 }
  ]
}
`

var _ = Describe("lint", func() {
	It("tells line and column", func() {
		n := three()
		Expect(n.ok("lint")).To(Equal("1 file: 0 errors, 0 warnings\n"))
		n.write(n.conf("bad.conflist"), careless)
		r := n.ran("lint", n.conf("bad.conflist"))
		Expect(r.Status).To(Equal(2))
		golden("lint.txt", r.Out)
		n.write(n.conf("bad.conflist"), "{\n  \"name\": \"x\",\n  \"plugins\": [ }\n")
		Expect(n.ran("lint", n.conf("bad.conflist")).Out).To(ContainSubstring("bad.conflist:3:16: error: not valid JSON"))
	})
})

var _ = Describe("trace", func() {
	It("follows a packet to the container", func() {
		n := three()
		stage.Serve(n.Boxes[0].Space, "tcp", 80)
		stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "8080", stage.OutsideV4)
		golden("trace.txt", n.ok("trace", stage.OutsideV4+":5555", "8080/tcp"))
		Expect(n.ok("trace", "["+stage.OutsideV6+"]:5555", "8080/tcp")).To(ContainSubstring("it arrives"))
		Expect(n.ok("trace", "127.0.0.1", "8080/tcp")).To(ContainSubstring("sees 10.60.0.1"))
		Expect(n.ok("trace", stage.SecondV4, stage.HostV4+":8080")).To(ContainSubstring("sees 10.60.0.1"))
	})

	for name, c := range map[string]struct {
		breaks func(*Node)
		says   string
	}{
		"no listener":   {func(*Node) {}, "nothing in lan/web/eth0 listens"},
		"no forwarding": {func(n *Node) { n.sysctl("net/ipv4/ip_forward", "0") }, "the host does not forward"},
		"a drop policy": {func(n *Node) {
			n.nft("table inet mine { chain f { type filter hook forward priority 0; policy drop; } }")
		}, "chain inet mine f"},
		"no rules":       {func(n *Node) { n.nft("flush chain inet bridgeport hostports") }, "the rules that read it are missing"},
		"an unplugged":   {func(n *Node) { n.ip("link set " + n.hostLink(0) + " nomaster") }, "plugged into no bridge"},
		"a link down":    {func(n *Node) { n.ip("link set " + n.hostLink(0) + " down") }, "is down"},
		"a lost address": {func(n *Node) { n.inside(0, "address del 10.60.0.2/24 dev eth0") }, "has not the address"},
		"a dead one":     {func(n *Node) { n.dies(0) }, "no living attachment"},
		"an uplink down": {func(n *Node) { n.ip("link set uplink down") }, "no route"},
	} {
		It("names the place with "+name, func() {
			n := three()
			c.breaks(n)
			r := n.ran("trace", stage.OutsideV4, stage.HostV4+":8080")
			Expect(r.Status).To(Equal(2))
			Expect(r.Out).To(ContainSubstring(c.says))
		})
	}

	It("follows real packets", func() {
		n := three()
		stage.Serve(n.Boxes[0].Space, "tcp", 80)
		done := make(chan string)
		go func() {
			defer GinkgoRecover()
			done <- n.ok("trace", "--live", "--duration", "2s", stage.OutsideV4, "8080/tcp")
		}()
		Eventually(func() bool {
			_, err := n.Outside.Ask("tcp", stage.HostV4+":8080", stage.Patience)
			Expect(err).NotTo(HaveOccurred())
			select {
			case out := <-done:
				Expect(out).To(ContainSubstring("dnat"))
				return true
			case <-time.After(100 * time.Millisecond):
				return false
			}
		}).WithTimeout(10 * stage.Patience).Should(BeTrue())
		Expect(fmt.Sprint(n.Settled())).NotTo(ContainSubstring("bridgeport-trace"))
	})
})

var _ = Describe("exposure", func() {
	It("tells who reaches what", func() {
		n := three()
		golden("exposure.txt", n.ok("exposure"))
		var list []struct {
			Port, Sources, Remark string
			Public                bool
			Links                 []string
		}
		Expect(json.Unmarshal([]byte(n.ok("exposure", "-o", "json")), &list)).To(Succeed())
		Expect(list).To(HaveLen(5))
		n.nft("table inet mine { chain f { type filter hook forward priority 0; policy drop; } }")
		Expect(n.ok("exposure")).To(ContainSubstring("blocked"))
		stage.Serve(n.Host, "tcp", 7777)
		Expect(n.ok("exposure", "--all")).To(ContainSubstring("7777/tcp"))
	})
})

var _ = Describe("a port for some clients only", func() {
	It("is seen by trace and exposure", func() {
		n := newNode(nil)
		port := stage.Port("tcp", 8080, 80)
		port["allowFrom"] = []string{"203.0.113.9/32"}
		web := n.add("web", port)
		stage.Serve(web.Space, "tcp", 80)
		stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "8080", stage.OutsideV4)
		out := n.ok("trace", stage.OutsideV4, "8080/tcp")
		Expect(out).To(ContainSubstring("allowFrom has 203.0.113.9"))
		Expect(out).To(ContainSubstring("1 connections"))
		r := n.ran("trace", "203.0.113.77", "8080/tcp")
		Expect(r.Status).To(Equal(2))
		Expect(r.Out).To(ContainSubstring("allowFrom has no 203.0.113.77"))
		Expect(n.ok("exposure")).To(ContainSubstring("203.0.113.9/32"))
	})
})
