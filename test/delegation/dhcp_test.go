package delegation_test

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// segment is a host whose own bridge reaches a router with a DHCP server, and the
// daemon of the reference's dhcp plugin.
type segment struct {
	*Stage
	router *Space
	server *dhcpServer
	conf   Conf
}

func newSegment() *segment {
	GinkgoHelper()
	s := newStage("dhcp")
	g := &segment{Stage: s, router: s.Space("router")}
	Expect(Wire(s.Host, "segment0", "", g.router, "eth0", GatewayV4+"/24")).To(Succeed())
	Inside(s.Host, func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: BridgeName, HardwareAddr: net.HardwareAddr{2, 0xaa, 0, 0, 0, 1}}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(bridge); err != nil {
			return err
		}
		return netlink.LinkSetMaster(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "segment0"}}, bridge)
	})
	g.server = serveDHCP(g.router, "eth0", netip.MustParseAddr(GatewayV4), netip.MustParseAddr("10.60.0.100"))
	socket := filepath.Join(s.Dir, "dhcp.sock")
	g.startDaemon(socket)
	g.conf = s.Bridge().With(Conf{"ipam": Conf{"type": "dhcp", "daemonSocketPath": socket}})
	return g
}

// startDaemon runs the daemon in the host until the spec ends. It gives up on a silent
// server after some seconds.
func (g *segment) startDaemon(socket string) {
	GinkgoHelper()
	cmd := exec.Command(filepath.Join(g.Bin, "dhcp"), "daemon", "-socketpath", socket,
		"-timeout", fmt.Sprint(Patience/10), "-resendtimeout", fmt.Sprint(Patience))
	cmd.Stdout, cmd.Stderr = GinkgoWriter, GinkgoWriter
	Expect(g.Host.Do(cmd.Start)).To(Succeed())
	DeferCleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	Eventually(func() error {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return err
		}
		return conn.Close()
	}).WithTimeout(Patience).Should(Succeed())
}

// client is the identifier by which the daemon asks for the container.
func client(b *Box) string { return fmt.Sprintf("\x00%s/%s/eth0", b.ID, NetworkName) }

var _ = Describe("the reference's dhcp", func() {
	var g *segment
	BeforeEach(func() { g = newSegment() })

	It("gives what the server offers", func() {
		ExpectOK("STATUS", g.Status(g.conf))
		b, result := g.Attach(g.conf)
		Expect(g.server.was(request, client(b))).To(BeTrue())
		Expect(Addrs(b.Space, "eth0")).To(ConsistOf("10.60.0.100/24"))
		Expect(Routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via " + GatewayV4))
		Expect(result.IPs).To(HaveLen(1))
		Expect(MAC(b.Space, "eth0").String()).To(Equal(result.Interfaces[2].Mac))
		ExpectPing(b.Space, GatewayV4)
		ExpectOK("CHECK", g.Check(b, g.conf, result))
	})

	It("is done with after DEL, and begins anew", func() {
		b, result := g.Attach(g.conf)
		g.Del(b, g.conf, result)
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
		Expect(HasLink(g.Host, result.Interfaces[1].Name)).To(BeFalse())
		g.Del(b, g.conf, result)
		result = g.Add(b, g.conf)
		ExpectPing(b.Space, GatewayV4)
		ExpectOK("CHECK", g.Check(b, g.conf, result))
	})

	It("gives each container its own address, and GC and STATUS disturb nobody", func() {
		a, aResult := g.Attach(g.conf)
		b, bResult := g.Attach(g.conf)
		Expect(aResult.IPs[0].Address.IP).NotTo(Equal(bResult.IPs[0].Address.IP))
		ExpectPing(a.Space, bResult.IPs[0].Address.IP.String())
		g.GC(g.conf, a, b)
		ExpectOK("STATUS", g.Status(g.conf))
		ExpectOK("CHECK", g.Check(a, g.conf, aResult))
		ExpectOK("CHECK", g.Check(b, g.conf, bResult))
	})

	It("gives the address to the MAC that the runtime asked for", func() {
		c := g.conf.With(Conf{"runtimeConfig": Conf{"mac": "02:00:00:00:00:07"}})
		b, _ := g.Attach(c)
		Expect(MAC(b.Space, "eth0").String()).To(Equal("02:00:00:00:00:07"))
		ExpectPing(b.Space, GatewayV4)
	})

	It("fails where the server is silent, and nothing is left", func() {
		warm, result := g.Attach(g.conf)
		g.Settled()
		g.Del(warm, g.conf, result)
		before := g.Settled()
		g.server.silence()
		b := g.Container()
		a := g.Call(b, "ADD", g.conf)
		Expect(a.Err).NotTo(BeNil(), "%s", a.Stdout)
		Expect(g.server.was(discover, client(b))).To(BeTrue(), a.Err.Msg)
		ExpectError(a, a.Err.Code, "dhcp")
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
		g.ExpectEqual(before)
	})

	It("fails without its daemon, and nothing is left", func() {
		warm, result := g.Attach(g.conf)
		g.Settled()
		g.Del(warm, g.conf, result)
		before := g.Settled()
		c := g.conf.With(Conf{"ipam": Conf{"type": "dhcp", "daemonSocketPath": filepath.Join(g.Dir, "nobody.sock")}})
		b := g.Container()
		ExpectError(g.Call(b, "ADD", c), 999, "dhcp", "nobody.sock")
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
		g.ExpectEqual(before)
	})
})
