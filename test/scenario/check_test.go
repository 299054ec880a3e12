package scenario_test

import (
	"errors"
	"os"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// checkDrift is the error code of a CHECK that found a difference.
const checkDrift = 103

// attachment is a container in a dual-stack network with published ports.
type attachment struct {
	*stage
	*box
	port string // the host's end
}

// change does something to a link of the space.
func change(s *lab.Space, name string, do func(netlink.Link) error) {
	GinkgoHelper()
	l := link(s, name)
	inside(s, func() error { return do(l) })
}

// flush empties a chain of the plugins' table.
func flush(s *lab.Space, chain string) {
	GinkgoHelper()
	nft(s, func(c *nftables.Conn) error {
		c.FlushChain(&nftables.Chain{Table: table, Name: chain})
		return nil
	})
}

// deleteRoute deletes the default route of a family in the container.
func deleteRoute(a *attachment, family int) {
	GinkgoHelper()
	inside(a.Space, func() error {
		all, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Route, error) { return netlink.RouteList(nil, family) })
		for _, r := range all {
			if ones, _ := r.Dst.Mask.Size(); ones == 0 && r.Gw != nil {
				err = errors.Join(err, netlink.RouteDel(&r))
			}
		}
		return err
	})
}

var _ = Describe("CHECK", func() {
	DescribeTable("passes right after ADD, and again", func(conflist func(*stage) []byte, ports ...[]map[string]any) {
		s := newStage()
		n := s.network(conflist(s))
		b := s.container()
		b.add(n, flat(ports)...)
		before := s.settled()
		for range 2 {
			Expect(n.Check(b.id, b.Path, "eth0", flat(ports))).To(Succeed())
		}
		s.expectEqual(before) // it only looks
		s.container().add(n)
		Expect(n.Check(b.id, b.Path, "eth0", flat(ports))).To(Succeed(), "after another container came")
	}, networks)

	// Each entry spoils one thing; CHECK must name it. Afterwards DEL and GC must
	// still clean up.
	DescribeTable("tells each single difference", func(spoil func(*attachment), texts ...string) {
		s := newStage()
		virgin := s.settled()
		n := s.network(list(newest, s.bridge(subnetV4, subnetV6).with(conf{"mtu": 1450}), portmap()))
		b := s.container()
		ports := append(webPorts(), on(hostV4, "tcp", 9090, 80))
		result := b.add(n, ports...)
		a := &attachment{stage: s, box: b, port: result.Interfaces[1].Name}
		Expect(n.Check(b.id, b.Path, "eth0", ports)).To(Succeed())

		spoil(a)
		err := n.Check(b.id, b.Path, "eth0", ports)
		var coded *types.Error
		Expect(errors.As(err, &coded)).To(BeTrue(), "CHECK says %v", err)
		Expect(coded.Code).To(BeEquivalentTo(checkDrift), coded.Msg)
		for _, text := range texts {
			Expect(coded.Msg).To(ContainSubstring(text))
		}

		b.del(n, ports...)
		Expect(n.GC([]types.GCAttachment{})).To(Succeed())
		s.expectEqual(virgin)
	},
		Entry("container's IPv4 address deleted", func(a *attachment) {
			change(a.Space, "eth0", func(l netlink.Link) error { return netlink.AddrDel(l, parseAddr(firstV4+"/24")) })
		}, "eth0", firstV4),
		Entry("container's IPv6 address deleted", func(a *attachment) {
			change(a.Space, "eth0", func(l netlink.Link) error { return netlink.AddrDel(l, parseAddr(firstV6+"/64")) })
		}, "eth0", firstV6),
		Entry("IPv4 default route deleted", func(a *attachment) { deleteRoute(a, netlink.FAMILY_V4) }, "default", gatewayV4),
		Entry("IPv6 default route deleted", func(a *attachment) { deleteRoute(a, netlink.FAMILY_V6) }, "default", gatewayV6),
		Entry("container's link down", func(a *attachment) { change(a.Space, "eth0", netlink.LinkSetDown) }, "eth0", "up"),
		Entry("container's link deleted", func(a *attachment) { deleteLink(a.Space, "eth0") }, "eth0"),
		Entry("container's MTU changed", func(a *attachment) {
			change(a.Space, "eth0", func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1300) })
		}, "eth0", "mtu", "1450", "1300"),
		Entry("container's MAC changed", func(a *attachment) {
			change(a.Space, "eth0", func(l netlink.Link) error {
				return netlink.LinkSetHardwareAddr(l, parseMAC("02:00:00:00:00:99"))
			})
		}, "eth0", "02:00:00:00:00:99"),
		Entry("host's end down", func(a *attachment) { change(a.host, a.port, netlink.LinkSetDown) }, "veth", "up"),
		Entry("host's end taken off the bridge", func(a *attachment) { change(a.host, a.port, netlink.LinkSetNoMaster) }, "veth", bridgeName),
		Entry("host's MTU changed", func(a *attachment) {
			change(a.host, a.port, func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1300) })
		}, "veth", "mtu", "1300"),
		Entry("hairpin mode off", func(a *attachment) {
			change(a.host, a.port, func(l netlink.Link) error { return netlink.LinkSetHairpin(l, false) })
		}, "veth", "hairpin"),
		Entry("bridge's IPv4 address deleted", func(a *attachment) {
			change(a.host, bridgeName, func(l netlink.Link) error { return netlink.AddrDel(l, parseAddr(gatewayV4+"/24")) })
		}, bridgeName, gatewayV4),
		Entry("bridge's IPv6 address deleted", func(a *attachment) {
			change(a.host, bridgeName, func(l netlink.Link) error { return netlink.AddrDel(l, parseAddr(gatewayV6+"/64")) })
		}, bridgeName, gatewayV6),
		Entry("bridge down", func(a *attachment) { change(a.host, bridgeName, netlink.LinkSetDown) }, bridgeName, "up"),
		Entry("IPv4 forwarding off", func(a *attachment) {
			Expect(a.host.SetSysctl("net/ipv4/ip_forward", "0")).To(Succeed())
		}, "ip_forward"),
		Entry("IPv6 forwarding off", func(a *attachment) {
			Expect(a.host.SetSysctl("net/ipv6/conf/all/forwarding", "0")).To(Succeed())
		}, "forwarding"),
		Entry("IPv4 masquerade element deleted", func(a *attachment) { emptySet(a.host, "masquerade4") }, "masquerade4", firstV4),
		Entry("IPv6 masquerade element deleted", func(a *attachment) { emptySet(a.host, "masquerade6") }, "masquerade6", firstV6),
		Entry("IPv4 port elements deleted", func(a *attachment) { emptySet(a.host, "anyport4") }, "anyport4", "8080"),
		Entry("IPv6 port elements deleted", func(a *attachment) { emptySet(a.host, "anyport6") }, "anyport6", "8080"),
		Entry("element of a port on one address deleted", func(a *attachment) { emptySet(a.host, "hostport4") }, "hostport4", "9090"),
		Entry("postrouting flushed", func(a *attachment) { flush(a.host, "postrouting") }, "postrouting"),
		Entry("prerouting flushed", func(a *attachment) { flush(a.host, "prerouting") }, "prerouting"),
		Entry("output flushed", func(a *attachment) { flush(a.host, "output") }, "output"),
		Entry("guard flushed", func(a *attachment) { flush(a.host, "guard") }, "guard"),
		Entry("hostports flushed", func(a *attachment) { flush(a.host, "hostports") }, "hostports"),
		Entry("table deleted", func(a *attachment) {
			nft(a.host, func(c *nftables.Conn) error { c.DelTable(table); return nil })
		}, "bridgeport"),
		Entry("lease lost", func(a *attachment) { Expect(os.Remove(a.lease(firstV4))).To(Succeed()) }, firstV4),
		Entry("lease of another container", func(a *attachment) {
			Expect(os.WriteFile(a.lease(firstV4), []byte("thief\r\neth0"), 0o600)).To(Succeed())
		}, firstV4, "thief"),
	)

	It("tells a missing bridge, and DEL and GC still succeed", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4, subnetV6), portmap()))
		b := s.container()
		b.add(n, webPorts()...)
		deleteLink(s.host, bridgeName)
		err := n.Check(b.id, b.Path, "eth0", webPorts())
		Expect(err).To(MatchError(ContainSubstring(bridgeName)))
		b.del(n, webPorts()...)
		Expect(n.GC([]types.GCAttachment{})).To(Succeed())
		for key := range s.snap() {
			Expect(key).NotTo(Or(ContainSubstring("veth"), HavePrefix("nft "), HavePrefix("file leases")))
		}
	})

	It("does not mind what others add", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4), portmap()))
		b := s.container()
		b.add(n, webPorts()...)
		// A later plugin's address and route, and tcpdump on the bridge.
		change(b.Space, "eth0", func(l netlink.Link) error { return netlink.AddrAdd(l, parseAddr("192.0.2.7/24")) })
		change(b.Space, "eth0", func(l netlink.Link) error {
			return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: parseAddr("198.51.100.0/24").IPNet, Table: 77})
		})
		change(s.host, bridgeName, netlink.SetPromiscOn)
		Expect(n.Check(b.id, b.Path, "eth0", webPorts())).To(Succeed())
	})

	It("fails for a container that was never attached", func() {
		p := newPair()
		b := p.container()
		never := &types100.Result{
			CNIVersion: newest,
			Interfaces: []*types100.Interface{
				{Name: bridgeName, Mac: "02:00:00:00:00:01"},
				{Name: "veth00000000000", Mac: "02:00:00:00:00:02"},
				{Name: "eth0", Mac: "02:00:00:00:00:03", Sandbox: b.Path},
			},
		}
		a := p.call(b, "CHECK", p.bridge.with(conf{"prevResult": never}))
		expectError(a, checkDrift, "eth0")
	})

	It("needs a prevResult", func() {
		p := newPair()
		b := p.container()
		p.add(b)
		expectError(p.call(b, "CHECK", p.bridge), 7, "prevResult")
		expectError(p.call(b, "CHECK", p.portmap), 7, "prevResult")
	})
})
