package scenario_test

import (
	"errors"
	"os"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/nftables"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// attachment is a container in a dual-stack network with published ports.
type attachment struct {
	*Stage
	box  *Box
	port string // the host's end
}

// flush empties a chain of the plugins' table.
func flush(s *Space, chain string) {
	GinkgoHelper()
	Rules(s, func(c *nftables.Conn) error {
		c.FlushChain(&nftables.Chain{Table: NAT, Name: chain})
		return nil
	})
}

// deleteRoute deletes the default route of a family in the container.
func deleteRoute(a *attachment, family int) {
	GinkgoHelper()
	for _, r := range RouteList(a.box.Space, "", family) {
		if ones, _ := r.Dst.Mask.Size(); ones == 0 && r.Gw != nil {
			Inside(a.box.Space, func() error { return netlink.RouteDel(&r) })
		}
	}
}

var _ = Describe("CHECK", func() {
	DescribeTable("passes right after ADD, and again", func(conflist func(*Stage) []byte, ports ...[]map[string]any) {
		s := newStage()
		n := s.Network(conflist(s))
		b := s.Container()
		b.Add(n, flat(ports)...)
		before := s.Settled()
		for range 2 {
			b.Check(n, flat(ports)...)
		}
		s.ExpectEqual(before) // it only looks
		s.Container().Add(n)
		Expect(n.Check(b.ID, b.Path, "eth0", flat(ports))).To(Succeed(), "after another container came")
	}, networks)

	// Each entry spoils one thing; CHECK must name it. Afterwards DEL and GC must
	// still clean up.
	DescribeTable("tells each single difference", func(spoil func(*attachment), texts ...string) {
		s := newStage()
		virgin := s.Settled()
		n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6).With(Conf{"mtu": 1450}), Portmap()))
		b := s.Container()
		ports := append(webPorts(), On(HostV4, "tcp", 9090, 80))
		result := b.Add(n, ports...)
		a := &attachment{Stage: s, box: b, port: result.Interfaces[1].Name}
		b.Check(n, ports...)

		spoil(a)
		err := n.Check(b.ID, b.Path, "eth0", ports)
		var coded *types.Error
		Expect(errors.As(err, &coded)).To(BeTrue(), "CHECK says %v", err)
		Expect(coded.Code).To(BeEquivalentTo(Drift), coded.Msg)
		for _, text := range texts {
			Expect(coded.Msg).To(ContainSubstring(text))
		}

		b.Del(n, ports...)
		Expect(n.GC([]types.GCAttachment{})).To(Succeed())
		s.ExpectEqual(virgin)
	},
		Entry("container's IPv4 address deleted", func(a *attachment) {
			Change(a.box.Space, "eth0", func(l netlink.Link) error { return netlink.AddrDel(l, ParseAddr(FirstV4+"/24")) })
		}, "eth0", FirstV4),
		Entry("container's IPv6 address deleted", func(a *attachment) {
			Change(a.box.Space, "eth0", func(l netlink.Link) error { return netlink.AddrDel(l, ParseAddr(FirstV6+"/64")) })
		}, "eth0", FirstV6),
		Entry("IPv4 default route deleted", func(a *attachment) { deleteRoute(a, netlink.FAMILY_V4) }, "default", GatewayV4),
		Entry("IPv6 default route deleted", func(a *attachment) { deleteRoute(a, netlink.FAMILY_V6) }, "default", GatewayV6),
		Entry("container's link down", func(a *attachment) { Change(a.box.Space, "eth0", netlink.LinkSetDown) }, "eth0", "up"),
		Entry("container's link deleted", func(a *attachment) { Change(a.box.Space, "eth0", netlink.LinkDel) }, "eth0"),
		Entry("container's MTU changed", func(a *attachment) {
			Change(a.box.Space, "eth0", func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1300) })
		}, "eth0", "mtu", "1450", "1300"),
		Entry("container's MAC changed", func(a *attachment) {
			Change(a.box.Space, "eth0", func(l netlink.Link) error {
				return netlink.LinkSetHardwareAddr(l, parseMAC("02:00:00:00:00:99"))
			})
		}, "eth0", "02:00:00:00:00:99"),
		Entry("host's end down", func(a *attachment) { Change(a.Host, a.port, netlink.LinkSetDown) }, "veth", "up"),
		Entry("host's end taken off the bridge", func(a *attachment) { Change(a.Host, a.port, netlink.LinkSetNoMaster) }, "veth", BridgeName),
		Entry("host's MTU changed", func(a *attachment) {
			Change(a.Host, a.port, func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1300) })
		}, "veth", "mtu", "1300"),
		Entry("hairpin mode off", func(a *attachment) {
			Change(a.Host, a.port, func(l netlink.Link) error { return netlink.LinkSetHairpin(l, false) })
		}, "veth", "hairpin"),
		Entry("bridge's IPv4 address deleted", func(a *attachment) {
			Change(a.Host, BridgeName, func(l netlink.Link) error { return netlink.AddrDel(l, ParseAddr(GatewayV4+"/24")) })
		}, BridgeName, GatewayV4),
		Entry("bridge's IPv6 address deleted", func(a *attachment) {
			Change(a.Host, BridgeName, func(l netlink.Link) error { return netlink.AddrDel(l, ParseAddr(GatewayV6+"/64")) })
		}, BridgeName, GatewayV6),
		Entry("bridge down", func(a *attachment) { Change(a.Host, BridgeName, netlink.LinkSetDown) }, BridgeName, "up"),
		Entry("IPv4 forwarding off", func(a *attachment) {
			Expect(a.Host.SetSysctl("net/ipv4/ip_forward", "0")).To(Succeed())
		}, "ip_forward"),
		Entry("IPv6 forwarding off", func(a *attachment) {
			Expect(a.Host.SetSysctl("net/ipv6/conf/all/forwarding", "0")).To(Succeed())
		}, "forwarding"),
		Entry("IPv4 masquerade element deleted", func(a *attachment) { EmptySet(a.Host, NAT, "masquerade4") }, "masquerade4", FirstV4),
		Entry("IPv6 masquerade element deleted", func(a *attachment) { EmptySet(a.Host, NAT, "masquerade6") }, "masquerade6", FirstV6),
		Entry("IPv4 port elements deleted", func(a *attachment) { EmptySet(a.Host, NAT, "anyport4") }, "anyport4", "8080"),
		Entry("IPv6 port elements deleted", func(a *attachment) { EmptySet(a.Host, NAT, "anyport6") }, "anyport6", "8080"),
		Entry("element of a port on one address deleted", func(a *attachment) { EmptySet(a.Host, NAT, "hostport4") }, "hostport4", "9090"),
		Entry("postrouting flushed", func(a *attachment) { flush(a.Host, "postrouting") }, "postrouting"),
		Entry("prerouting flushed", func(a *attachment) { flush(a.Host, "prerouting") }, "prerouting"),
		Entry("output flushed", func(a *attachment) { flush(a.Host, "output") }, "output"),
		Entry("guard flushed", func(a *attachment) { flush(a.Host, "guard") }, "guard"),
		Entry("hostports flushed", func(a *attachment) { flush(a.Host, "hostports") }, "hostports"),
		Entry("table deleted", func(a *attachment) {
			Rules(a.Host, func(c *nftables.Conn) error { c.DelTable(NAT); return nil })
		}, "bridgeport"),
		Entry("lease lost", func(a *attachment) { Expect(os.Remove(a.Lease(FirstV4))).To(Succeed()) }, FirstV4),
		Entry("lease of another container", func(a *attachment) {
			Expect(os.WriteFile(a.Lease(FirstV4), []byte("thief\r\neth0"), 0o600)).To(Succeed())
		}, FirstV4, "thief"),
	)

	It("tells a missing bridge, and DEL and GC still succeed", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6), Portmap()))
		b := s.Container()
		b.Add(n, webPorts()...)
		Change(s.Host, BridgeName, netlink.LinkDel)
		err := n.Check(b.ID, b.Path, "eth0", webPorts())
		Expect(err).To(MatchError(ContainSubstring(BridgeName)))
		b.Del(n, webPorts()...)
		Expect(n.GC([]types.GCAttachment{})).To(Succeed())
		for key := range s.Snap() {
			Expect(key).NotTo(Or(ContainSubstring("veth"), HavePrefix("nft "), HavePrefix("file leases")))
		}
	})

	It("does not mind what others add", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4), Portmap()))
		b := s.Container()
		b.Add(n, webPorts()...)
		// A later plugin's address and route, and tcpdump on the bridge.
		Change(b.Space, "eth0", func(l netlink.Link) error { return netlink.AddrAdd(l, ParseAddr("192.0.2.7/24")) })
		Change(b.Space, "eth0", func(l netlink.Link) error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: ParseAddr("198.51.100.0/24").IPNet, Table: 77})
		})
		Change(s.Host, BridgeName, netlink.SetPromiscOn)
		b.Check(n, webPorts()...)
	})

	It("fails for a container that was never attached", func() {
		p := newPair()
		b := p.Container()
		never := &types100.Result{
			CNIVersion: Newest,
			Interfaces: []*types100.Interface{
				{Name: BridgeName, Mac: "02:00:00:00:00:01"},
				{Name: "veth00000000000", Mac: "02:00:00:00:00:02"},
				{Name: "eth0", Mac: "02:00:00:00:00:03", Sandbox: b.Path},
			},
		}
		a := p.Call(b, "CHECK", p.bridge.With(Conf{"prevResult": never}))
		ExpectError(a, Drift, "eth0")
	})

	It("needs a prevResult", func() {
		p := newPair()
		b := p.Container()
		p.add(b)
		ExpectError(p.Call(b, "CHECK", p.bridge), 7, "prevResult")
		ExpectError(p.Call(b, "CHECK", p.portmap), 7, "prevResult")
	})
})
