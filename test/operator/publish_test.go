package operator_test

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// closes wants the other end to have ended the connection, or nobody to answer any more.
func (t *talker) closes() {
	GinkgoHelper()
	Expect(t.conn.SetDeadline(time.Now().Add(stage.Haste))).To(Succeed())
	_, _ = t.conn.Write([]byte("x"))
	_, err := io.ReadFull(t.conn, make([]byte, 1))
	Expect(err).To(HaveOccurred())
}

// hand returns what ls says of ports of a container that were added by hand.
func (n *Node) hand(container string) (ports []int) {
	GinkgoHelper()
	var l struct {
		Attachments []struct {
			Container string
			Ports     []struct {
				HostPort int
				ByHand   bool
			}
		}
	}
	Expect(json.Unmarshal([]byte(n.ok("ls", "-o", "json")), &l)).To(Succeed())
	for _, a := range l.Attachments {
		for _, p := range a.Ports {
			if a.Container == container && p.ByHand {
				ports = append(ports, p.HostPort)
			}
		}
	}
	return ports
}

var _ = Describe("publish", func() {
	It("publishes ports of a running container as ADD does, and unpublish takes them back", func() {
		n := three()
		web, db := n.Boxes[0], n.Boxes[1]
		for _, b := range []*stage.Box{web, db} {
			stage.Serve(b.Space, "tcp", 81)
			stage.Serve(b.Space, "udp", 81)
		}
		for _, b := range []*stage.Box{web, db} {
			before := n.Settled()
			dry := n.ok("publish", "--dry-run", "lan/"+b.ID, "9000:81")
			Expect(dry).To(And(ContainSubstring("nft 'add element inet bridgeport anyport4 { tcp . 9000 comment"), ContainSubstring("by-hand lan/"+b.ID+"/eth0")))
			n.ExpectEqual(before)
			out := n.ok("publish", "lan/"+b.ID, "9000:81", "9000-9001:81-82/udp", stage.HostV4+":9002:81/tcp")
			Expect(out).To(And(ContainSubstring("9000:81"), ContainSubstring("until the container is removed or restarted")))
			stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "9000", stage.OutsideV4)
			stage.ExpectSeen(n.Outside, "tcp", stage.HostV6, "9000", stage.OutsideV6)
			stage.ExpectSeen(n.Outside, "udp", stage.HostV4, "9000", stage.OutsideV4)
			stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "9002", stage.OutsideV4)
			for _, addr := range []string{"127.0.0.1", "::1", stage.HostV4, stage.HostV6} {
				stage.ExpectSeen(n.Host, "tcp", addr, "9000")
			}
			stage.ExpectSeen(b.Space, "tcp", stage.HostV4, "9000") // hairpin
			b.Check(n.Net, n.ports[b.ID]...)
			Expect(n.ok("ls")).To(And(ContainSubstring("9000→81/tcp (added by hand)"), Not(ContainSubstring("drift"))))
			Expect(n.ok("who", "9000/tcp")).To(ContainSubstring("added by hand"))
			Expect(n.ok("exposure")).To(ContainSubstring("9000/tcp"))
			Expect(n.ok("repair")).To(Equal("nothing to mend\n"))
			Expect(n.ok("unpublish", "--dry-run", "lan/"+b.ID, "9000")).To(ContainSubstring("nft 'delete element inet bridgeport anyport4 { tcp . 9000 }"))
			n.ok("unpublish", "lan/"+b.ID, "9000", "9000-9001/udp", stage.HostV4+":9002")
			stage.ExpectRefused(n.Outside, "tcp", stage.HostV4, "9000")
			Expect(n.hand(b.ID)).To(BeEmpty())
			n.ExpectEqual(before)
		}
	})

	It("leaves connections alone, and ends those to the port that goes", func() {
		n := three()
		echo(n.Boxes[0].Space, 80)
		echo(n.Boxes[0].Space, 81)
		old := talk(n.Outside, stage.HostV4+":8080")
		n.ok("publish", "lan/web", "9000:80", "9001:81")
		goes, stays := silent(n.Outside, stage.HostV4+":9000"), silent(n.Outside, stage.HostV4+":9001")
		goes.speaks()
		n.ok("unpublish", "lan/web", "9000")
		goes.closes()
		stays.speaks()
		old.goesOn()
	})

	It("names who has the port", func() {
		n := three()
		refused := func(text string, args ...string) {
			GinkgoHelper()
			before := n.Settled()
			r := n.ran(args...)
			Expect(r.Status).To(Equal(1), r.Out)
			Expect(r.Err).To(ContainSubstring(text))
			n.ExpectEqual(before)
		}
		refused("hostPort 8080/tcp is held by container web (network lan, interface eth0)", "publish", "lan/db", "9000:80", "8080:80")
		refused("8080/tcp is published by lan/web/eth0 already: it leads to port 80", "publish", "lan/web", "8080:81")
		n.ok("publish", "lan/db", "9000:80")
		refused("container db (network lan, interface eth0, added by hand)", "publish", "lan/web", "9000:80")
		other := &stage.Box{Space: n.Space("other"), ID: "other"}
		_, err := n.Net.Add("other", other.Path, "eth0", []map[string]any{stage.Port("tcp", 9000, 80)})
		Expect(err).To(MatchError(ContainSubstring("container db (network lan, interface eth0, added by hand)")))
		other.Del(n.Net, stage.Port("tcp", 9000, 80))
		Expect(n.hand("db")).To(Equal([]int{9000, 9000}))
		refused("8080/tcp of lan/web/eth0 is of the container's configuration", "unpublish", "lan/web", "8080")
		refused("no such attachment", "publish", "lan/nobody", "9001:80")
		refused("does not publish it", "unpublish", "lan/web", "9001")
		for _, port := range []string{"9001", "9001:80/icmp", "70000:80", "9001-9003:80-81", "9003-9001:80-78", "x:9001:80", "9001:0", "[2001:db8::1]:9001:", "65535-65536:80-81"} {
			refused("publish: ", "publish", "lan/web", port)
		}
		for _, port := range []string{"web", "70000", "9003-9001", "9000:80"} {
			refused("unpublish: ", "unpublish", "lan/web", port)
		}
	})

	It("warns of a process of the host, or refuses, as ADD does", func() {
		n := three()
		stage.Serve(n.Host, "tcp", 9000)
		r := n.ran("publish", "lan/web", "9000:80")
		Expect(r.Status).To(BeZero())
		Expect(r.Err).To(ContainSubstring("a process of the host listens on"))
	})

	It("goes with the container: DEL with and without its configuration, GC, a restart", func() {
		n := three()
		web := n.Boxes[0]
		web.Del(n.Net, n.ports["web"]...)
		before := n.Settled()
		for _, ports := range [][]map[string]any{n.ports["web"], nil} {
			web.Add(n.Net, n.ports["web"]...)
			n.ok("publish", "lan/web", "9000:80", "9001:81/udp")
			web.Del(n.Net, ports...)
			n.ExpectEqual(before)
		}
		web.Add(n.Net)
		n.ok("publish", "lan/web", "9000:80")
		Expect(os.RemoveAll(filepath.Join(n.Dir, "cache", "results", "lan-web-eth0"))).To(Succeed())
		web.Del(n.Net)
		n.ExpectEqual(before)
		web.Add(n.Net, n.ports["web"]...)
		Expect(n.hand("web")).To(BeEmpty())
		stage.ExpectRefused(n.Outside, "tcp", stage.HostV4, "9000")
		n.ok("publish", "lan/web", "9000:80")
		link := n.hostLink(2) // its address is the last one now
		Expect(web.Close()).To(Succeed())
		Eventually(func() bool { return stage.HasLink(n.Host, link) }).Should(BeFalse())
		n.ok("gc", "--grace", "0s")
		n.ExpectEqual(before)
	})

	It("stays where repair puts back what is beside it", func() {
		n := three()
		web := n.Boxes[0]
		stage.Serve(web.Space, "tcp", 80)
		web.Del(n.Net, n.ports["web"]...)
		before := n.Settled()
		web.Add(n.Net, n.ports["web"]...)
		n.ok("publish", "lan/web", "9000:80")
		stage.EmptySet(n.Host, stage.NAT, "published")
		Expect(n.state("web")).To(Equal("drift"))
		r := n.ran("publish", "lan/web", "9001:80")
		Expect(r.Err).To(ContainSubstring("run bridgeport repair first"))
		n.ok("repair")
		stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "9000", stage.OutsideV4)
		Expect(n.hand("web")).To(Equal([]int{9000, 9000}))
		web.Del(n.Net, n.ports["web"]...)
		n.ExpectEqual(before)
	})

	It("works on a network that publishes nothing, and says where it can't", func() {
		n := newNode(nil)
		n.Net = n.Network(stage.List(n.Bridge(stage.SubnetV4, stage.SubnetV6)))
		stage.Serve(n.add("web").Space, "tcp", 80)
		n.ok("publish", "lan/web", "9000:80")
		stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "9000", stage.OutsideV4)
		n.Boxes[0].Del(n.Net)
		n.Net = n.Network(stage.List(n.Bridge(stage.SubnetV4, stage.SubnetV6), stage.Portmap().With(stage.Conf{"backend": "iptables"})))
		n.Boxes[0].Add(n.Net)
		r := n.ran("publish", "lan/web", "9000:80")
		Expect(r.Status).To(Equal(1))
		Expect(r.Err).To(ContainSubstring(`use "backend": "nftables"`))
	})
})
