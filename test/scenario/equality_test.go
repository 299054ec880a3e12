package scenario_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/containernetworking/cni/pkg/types"
)

// networks are the kinds of network that most promises must hold for. Entries call
// these with the stage of the running spec.
var networks = []TableEntry{
	Entry("IPv4", func(s *stage) []byte { return list(newest, s.bridge(subnetV4)) }),
	Entry("IPv4 with ports", func(s *stage) []byte { return list(newest, s.bridge(subnetV4), portmap()) }, webPorts()),
	Entry("IPv6", func(s *stage) []byte { return list(newest, s.bridge(subnetV6)) }),
	Entry("IPv6 with ports", func(s *stage) []byte { return list(newest, s.bridge(subnetV6), portmap()) }, webPorts()),
	Entry("dual stack", func(s *stage) []byte { return list(newest, s.bridge(subnetV4, subnetV6)) }),
	Entry("dual stack with ports", func(s *stage) []byte {
		return list(newest, s.bridge(subnetV4, subnetV6), portmap())
	}, webPorts()),
	Entry("link layer", func(s *stage) []byte { return list(newest, s.bridge()) }),
	Entry("link layer with ports", func(s *stage) []byte { return list(newest, s.bridge(), portmap()) }, webPorts()),
}

var _ = Describe("DEL takes back what ADD did", func() {
	DescribeTable("the host is as before the ADD", func(conflist func(*stage) []byte, ports ...[]map[string]any) {
		s := newStage()
		n := s.network(conflist(s))
		before := s.warm(n, flat(ports)...)
		b := s.container()
		b.add(n, flat(ports)...)
		b.del(n, flat(ports)...)
		s.expectEqual(before)
		Expect(hasLink(b.Space, "eth0")).To(BeFalse())
	}, networks)

	DescribeTable("GC without valid attachments takes the shared objects too", func(conflist func(*stage) []byte, ports ...[]map[string]any) {
		s := newStage()
		virgin := s.settled()
		n := s.network(conflist(s))
		b := s.container()
		b.add(n, flat(ports)...)
		b.del(n, flat(ports)...)
		Expect(n.GC([]types.GCAttachment{})).To(Succeed())
		s.expectEqual(virgin)
	}, networks)

	It("keeps a neighbour's attachment working", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4, subnetV6), portmap()))
		stays, goes := s.container(), s.container()
		stays.add(n, port("tcp", 8080, 80))
		before := s.settled()
		goes.add(n, port("tcp", 8081, 80))
		goes.del(n, port("tcp", 8081, 80))
		s.expectEqual(before)
		Expect(n.Check(stays.id, stays.Path, "eth0", []map[string]any{port("tcp", 8080, 80)})).To(Succeed())
	})

	It("keeps the container's second interface in the same network", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4).with(conf{"isDefaultGateway": false, "isGateway": true}), portmap()))
		b := s.container()
		ports := []map[string]any{port("tcp", 8080, 80)}
		b.add(n, ports...)
		before := s.settled()
		second := []map[string]any{port("tcp", 8081, 80)}
		_, err := n.Add(b.id, b.Path, "eth1", second)
		Expect(err).NotTo(HaveOccurred())
		Expect(n.Del(b.id, b.Path, "eth1", second)).To(Succeed())
		s.expectEqual(before)
		Expect(n.Check(b.id, b.Path, "eth0", ports)).To(Succeed())
	})
})

// flat is the ports of an entry that may have none.
func flat(ports [][]map[string]any) []map[string]any {
	if len(ports) == 0 {
		return nil
	}
	return ports[0]
}
