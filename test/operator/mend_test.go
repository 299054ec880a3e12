package operator_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// echo serves connections that last.
func echo(s *stage.Space, port int) {
	GinkgoHelper()
	listener := stage.Listen(s, fmt.Sprintf("0.0.0.0:%d", port))
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
}

// gcIn is gc from another namespace than the node's.
func (n *Node) gcIn(s *stage.Space) string {
	GinkgoHelper()
	host := n.Host
	n.Host = s
	defer func() { n.Host = host }()
	return n.ok("gc", "--grace", "0s")
}

// foreign is what another plugin and libcni write for an attachment to network "other".
func (n *Node) foreign(id, netns, addr string) {
	GinkgoHelper()
	list := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"other","plugins":[{"type":"macvlan","ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.61.0.0/24"}]]}}]}`, n.Data())
	n.write(filepath.Join(n.Data(), "other", addr), id+"\r\neth0")
	cached, err := json.Marshal(map[string]any{
		"kind": "cniCacheV1", "containerId": id, "config": []byte(list), "ifName": "eth0", "networkName": "other", "netns": netns,
		"result": map[string]any{"cniVersion": "1.0.0", "ips": []any{map[string]any{"address": addr + "/24"}}},
	})
	Expect(err).NotTo(HaveOccurred())
	n.write(filepath.Join(n.Dir, "cache/results/other-"+id+"-eth0"), string(cached))
}

// talker is a connection that something is said on all the time.
type talker struct {
	conn net.Conn
	stop chan struct{}
	done sync.WaitGroup
	said int
	err  error
}

func talk(from *stage.Space, addr string) *talker {
	GinkgoHelper()
	t := &talker{stop: make(chan struct{})}
	Expect(from.Do(func() (err error) {
		t.conn, err = net.DialTimeout("tcp4", addr, stage.Patience)
		return err
	})).To(Succeed(), addr)
	DeferCleanup(func() { _ = t.conn.Close() })
	t.done.Go(func() {
		buf := make([]byte, 1)
		for {
			select {
			case <-t.stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			_ = t.conn.SetDeadline(time.Now().Add(4 * stage.Patience))
			if _, t.err = t.conn.Write(buf); t.err != nil {
				return
			}
			if _, t.err = io.ReadFull(t.conn, buf); t.err != nil {
				return
			}
			t.said++
		}
	})
	return t
}

// goesOn ends the talk, which must have gone on until now.
func (t *talker) goesOn() {
	GinkgoHelper()
	before := t.said
	Eventually(func() int { return t.said }).WithTimeout(4*stage.Patience).Should(BeNumerically(">", before+3), "after %d answers: %v", before, t.err)
	close(t.stop)
	t.done.Wait()
	Expect(t.err).NotTo(HaveOccurred())
}

var _ = Describe("repair", func() {
	// Where `nft flush ruleset` takes away the last nat chain of the host, the kernel
	// stops translating, and the host itself resets what arrives for connections that it
	// does not know: nobody can put those back. Where anybody else's nat is left (here
	// iptables-legacy's), established connections do not even notice.
	It("after nft flush ruleset under traffic", func() {
		n := three()
		legacyIPTables(n).Run(n.Host, "-t nat -A POSTROUTING -s 192.0.2.1 -j MASQUERADE")
		web, db := n.Boxes[0], n.Boxes[1]
		for _, s := range []*stage.Space{web.Space, n.Outside} {
			echo(s, 80)
		}
		in := talk(n.Outside, stage.HostV4+":8080")
		out := talk(db.Space, stage.OutsideV4+":80")
		across := talk(db.Space, stage.FirstV4+":80")
		n.nft("flush ruleset")
		time.Sleep(300 * time.Millisecond)
		stage.ExpectRefused(n.Outside, "tcp", stage.HostV4, "8080")
		golden("repair-dry.txt", n.ok("repair", "--dry-run"))
		Expect(n.state("web")).To(Equal("drift"))
		golden("repair.txt", n.ok("repair"))
		for _, t := range []*talker{in, out, across} {
			t.goesOn()
		}
		talk(n.Outside, stage.HostV4+":8080").goesOn()
		talk(db.Space, stage.OutsideV4+":80").goesOn()
		Expect(n.ok("repair")).To(Equal("nothing to mend\n"))
	})

	It("keeps connections that were silent while no nat was left", func() {
		n := three()
		echo(n.Boxes[0].Space, 80)
		echo(n.Outside, 80)
		in, out := silent(n.Outside, stage.HostV4+":8080"), silent(n.Boxes[1].Space, stage.OutsideV4+":80")
		n.nft("flush ruleset")
		n.ok("repair")
		in.speaks()
		out.speaks()
		silent(n.Outside, stage.HostV4+":8080").speaks()
	})

	for what, breaks := range map[string]func(*Node){
		"a deleted bridge": func(n *Node) { n.ip("link del lan0") },
		"a port that was pulled out": func(n *Node) {
			n.ip("link set " + n.hostLink(0) + " nomaster")
			n.ip("link set " + n.hostLink(1) + " down")
		},
		"rules that somebody flushed": func(n *Node) {
			n.nft("flush table inet bridgeport")
			n.nft("flush table bridge bridgeport")
		},
		"sysctls of a reload": func(n *Node) {
			n.sysctl("net/ipv4/ip_forward", "0")
			n.sysctl("net/ipv4/conf/lan0/route_localnet", "0")
			n.sysctl("net/ipv6/conf/all/forwarding", "0")
		},
		"a lost lease": func(n *Node) {
			Expect(os.Remove(n.Lease(stage.FirstV4))).To(Succeed())
			Expect(os.Remove(n.Lease(stage.FirstV6))).To(Succeed())
		},
		"one lease of two": func(n *Node) { Expect(os.Remove(n.Lease(stage.FirstV6))).To(Succeed()) },
		"the other lease":  func(n *Node) { Expect(os.Remove(n.Lease(stage.FirstV4))).To(Succeed()) },
		"a container's address and route": func(n *Node) {
			n.inside(0, "address flush dev eth0")
		},
		"MTU, hairpin and gateway": func(n *Node) {
			n.ip("link set " + n.hostLink(0) + " mtu 1300 type bridge_slave hairpin off")
			n.ip("address del 10.60.0.1/24 dev lan0")
		},
	} {
		It("puts back "+what, func() {
			n := three()
			breaks(n)
			Expect(n.state("web")).To(Equal("drift"))
			n.ok("repair")
			for _, b := range n.Boxes {
				Expect(n.state(b.ID)).To(Equal("ok"), n.ran("ls").Out)
				b.Check(n.Net, n.ports[b.ID]...)
				stage.ExpectPing(b.Space, stage.OutsideV4, stage.OutsideV6)
			}
		})
	}

	It("knows the namespace where libcni's cache does not", func() {
		n := three()
		for _, b := range n.Boxes {
			path := filepath.Join(n.Dir, "cache/results/lan-"+b.ID+"-eth0")
			var cached map[string]any
			Expect(json.Unmarshal([]byte(stage.Read(GinkgoT(), path)), &cached)).To(Succeed())
			delete(cached, "netns")
			text, err := json.Marshal(cached)
			Expect(err).NotTo(HaveOccurred())
			n.write(path, string(text))
		}
		n.expectWell()
		n.nft("flush ruleset")
		Expect(n.state("web")).To(Equal("drift"))
		n.ok("repair")
		Expect(n.ok("ls", "--state", "ok")).To(ContainSubstring("3 attachments"))
		n.expectWell()
	})

	It("leases a lost address again, and no other one", func() {
		n := three()
		Expect(os.Remove(n.Lease(stage.FirstV6))).To(Succeed())
		Expect(n.ok("ls")).To(ContainSubstring("the lease of " + stage.FirstV6 + " is missing"))
		names, _ := n.found()
		Expect(names).To(ConsistOf("lease-missing"))
		Expect(n.ok("repair")).To(And(ContainSubstring("leases/lan/"+stage.FirstV6), Not(ContainSubstring("leases/lan/"+stage.FirstV4))))
		n.expectWell()
	})

	It("says what it can't put back", func() {
		n := three()
		n.write(n.Lease(stage.FirstV4), "somebody\r\neth0")
		Expect(os.Remove(n.Lease(stage.FirstV6))).To(Succeed())
		r := n.ran("repair")
		Expect(r.Status).To(Equal(1), r.Out)
		Expect(r.Out).To(ContainSubstring("leased to container somebody"))
	})
})

// silent opens a connection and says nothing.
func silent(from *stage.Space, addr string) *talker {
	GinkgoHelper()
	t := &talker{}
	Expect(from.Do(func() (err error) {
		t.conn, err = net.DialTimeout("tcp4", addr, stage.Patience)
		return err
	})).To(Succeed(), addr)
	DeferCleanup(func() { _ = t.conn.Close() })
	return t
}

// speaks wants an answer.
func (t *talker) speaks() {
	GinkgoHelper()
	Expect(t.conn.SetDeadline(time.Now().Add(4 * stage.Patience))).To(Succeed())
	_, err := t.conn.Write([]byte("x"))
	Expect(err).NotTo(HaveOccurred())
	_, err = io.ReadFull(t.conn, make([]byte, 1))
	Expect(err).NotTo(HaveOccurred())
}

var _ = Describe("gc", func() {
	It("removes what is dead, and nothing else", func() {
		n := three()
		before := n.Settled()
		n.add("gone", stage.Port("tcp", 7000, 70))
		n.write(n.Lease("10.60.0.200"), "lost\r\neth0")
		n.write(n.Lease("10.60.0.201"), "")
		n.dies(3)
		young := n.ok("gc")
		Expect(young).To(ContainSubstring("an ADD may be on its way"))
		golden("gc-dry.txt", n.ok("gc", "--dry-run", "--grace", "0s"))
		Expect(n.Lease("10.60.0.200")).To(BeAnExistingFile())
		golden("gc.txt", n.ok("gc", "--grace", "0s"))
		n.ExpectEqual(before)
		Expect(filepath.Join(n.Dir, "cache/results/lan-gone-eth0")).NotTo(BeAnExistingFile())
		for _, b := range n.Boxes[:3] {
			b.Check(n.Net, n.ports[b.ID]...)
		}
		Expect(n.ok("gc", "--grace", "0s")).To(HavePrefix("nothing is dead"))
	})

	for name, text := range map[string]string{"empty": "", "cut": `{"kind":"cniCacheV1"`, "strange": "\x00\x00"} {
		It("removes a file of libcni's cache that is "+name, func() {
			n := three()
			path := filepath.Join(n.Dir, "cache/results/lan-lost-eth0")
			n.write(path, text)
			Expect(n.ok("gc")).To(ContainSubstring("an ADD may be on its way"))
			Expect(path).To(BeAnExistingFile())
			Expect(n.ok("gc", "--grace", "0s")).To(ContainSubstring("libcni can't read it"))
			Expect(path).NotTo(BeAnExistingFile())
			n.expectWell()
			for _, b := range n.Boxes {
				b.Check(n.Net, n.ports[b.ID]...)
			}
		})
	}

	It("keeps what is in doubt", func() {
		n := three()
		n.add("ghost")
		Expect(os.Remove(filepath.Join(n.Dir, "cache/results/lan-ghost-eth0"))).To(Succeed())
		n.renamed(3)
		before := n.Settled()
		Expect(n.ok("gc", "--grace", "0s")).To(ContainSubstring("kept: in doubt"))
		n.ExpectEqual(before)
	})

	It("keeps what a namesake may hide", func() {
		n := three()
		n.dies(1)
		namesake := n.Space("db")
		Expect(stage.Wire(namesake, "eth0", "192.0.2.1/24", n.Outside, "other0", "")).To(Succeed())
		Expect(n.ok("gc", "--grace", "0s")).To(ContainSubstring("another container may have taken the name"))
		Expect(n.Lease(stage.SecondV4)).To(BeAnExistingFile())
	})

	It("keeps everything when run in the wrong namespace", func() {
		n := three()
		before := n.Settled()
		out := n.gcIn(n.Outside)
		n.ExpectEqual(before)
		Expect(out).To(HavePrefix("nothing is dead"))
	})

	It("keeps everything when run inside a container", func() {
		n := three()
		before := n.Settled()
		out := n.gcIn(n.Boxes[0].Space)
		n.ExpectEqual(before)
		Expect(out).To(ContainSubstring("run it in the node's own network namespace"))
	})

	It("keeps what other plugins have made and somebody uses", func() {
		n := three()
		vm, held := n.Space("vm"), n.Space("held")
		Expect(stage.Wire(held, "eth0", "10.61.0.3/24", n.Outside, "held0", "")).To(Succeed())
		n.foreign("vm", vm.Path, "10.61.0.2")             // a device that is no link any more
		n.foreign("held", "/run/netns/gone", "10.61.0.3") // the path is gone, but not the namespace
		out := n.ok("gc", "--grace", "0s")
		Expect(out).To(ContainSubstring("has no link eth0, which may be right"))
		Expect(out).To(ContainSubstring("10.61.0.3 is in use"))
		for _, file := range []string{
			n.Data() + "/other/10.61.0.2", n.Data() + "/other/10.61.0.3",
			n.Dir + "/cache/results/other-vm-eth0", n.Dir + "/cache/results/other-held-eth0",
		} {
			Expect(file).To(BeAnExistingFile())
		}
	})

	It("never removes a living one under concurrent ADDs", func() {
		n := newNode(nil)
		stop := make(chan struct{})
		var runs sync.WaitGroup
		runs.Go(func() {
			defer GinkgoRecover()
			for {
				select {
				case <-stop:
					return
				default:
					// The grace must cover one ADD: here a second is plenty.
					n.ok("gc", "--grace", "20s")
				}
			}
		})
		for i := range 30 {
			n.write(n.Lease(fmt.Sprintf("10.60.0.%d", 100+i)), fmt.Sprintf("dead%d\r\neth0", i))
			old := time.Now().Add(-time.Hour)
			Expect(os.Chtimes(n.Lease(fmt.Sprintf("10.60.0.%d", 100+i)), old, old)).To(Succeed())
			b := n.add(fmt.Sprintf("c%d", i), stage.Port("tcp", 9000+i, 80))
			b.Check(n.Net, n.ports[b.ID]...)
		}
		close(stop)
		runs.Wait()
		n.ok("gc", "--grace", "20s")
		l := n.listed()
		Expect(l.Attachments).To(HaveLen(30))
		for _, a := range l.Attachments {
			Expect(a.State).To(Equal("ok"), "%s %v", a.Container, a.Notes)
		}
	})
})
