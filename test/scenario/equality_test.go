package scenario_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/pkg/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// networks are the kinds of network that most promises must hold for. Entries call
// these with the stage of the running spec.
var networks = []TableEntry{
	Entry("IPv4", func(s *Stage) []byte { return list(Newest, bridge(s, SubnetV4)) }),
	Entry("IPv4 with ports", func(s *Stage) []byte { return list(Newest, bridge(s, SubnetV4), Portmap()) }, webPorts()),
	Entry("IPv6", func(s *Stage) []byte { return list(Newest, bridge(s, SubnetV6)) }),
	Entry("IPv6 with ports", func(s *Stage) []byte { return list(Newest, bridge(s, SubnetV6), Portmap()) }, webPorts()),
	Entry("dual stack", func(s *Stage) []byte { return list(Newest, bridge(s, SubnetV4, SubnetV6)) }),
	Entry("dual stack with ports", func(s *Stage) []byte {
		return list(Newest, bridge(s, SubnetV4, SubnetV6), Portmap())
	}, webPorts()),
	Entry("link layer", func(s *Stage) []byte { return list(Newest, bridge(s)) }),
	Entry("link layer with ports", func(s *Stage) []byte { return list(Newest, bridge(s), Portmap()) }, webPorts()),
}

var _ = Describe("DEL takes back what ADD did", func() {
	DescribeTable("the host is as before the ADD", func(conflist func(*Stage) []byte, ports ...[]map[string]any) {
		s := newStage()
		n := s.Network(conflist(s))
		before := warm(s, n, flat(ports)...)
		b := s.Container()
		b.Add(n, flat(ports)...)
		b.Del(n, flat(ports)...)
		s.ExpectEqual(before)
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
	}, networks)

	DescribeTable("GC without valid attachments takes the shared objects too", func(conflist func(*Stage) []byte, ports ...[]map[string]any) {
		s := newStage()
		virgin := s.Settled()
		n := s.Network(conflist(s))
		b := s.Container()
		b.Add(n, flat(ports)...)
		b.Del(n, flat(ports)...)
		Expect(n.GC([]types.GCAttachment{})).To(Succeed())
		s.ExpectEqual(virgin)
	}, networks)

	It("keeps a neighbour's attachment working", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6), Portmap()))
		stays, goes := s.Container(), s.Container()
		stays.Add(n, Port("tcp", 8080, 80))
		before := s.Settled()
		goes.Add(n, Port("tcp", 8081, 80))
		goes.Del(n, Port("tcp", 8081, 80))
		s.ExpectEqual(before)
		stays.Check(n, Port("tcp", 8080, 80))
	})

	It("keeps the container's second interface in the same network", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4).With(Conf{"isDefaultGateway": false, "isGateway": true}), Portmap()))
		b := s.Container()
		ports := []map[string]any{Port("tcp", 8080, 80)}
		b.Add(n, ports...)
		before := s.Settled()
		second := []map[string]any{Port("tcp", 8081, 80)}
		_, err := n.Add(b.ID, b.Path, "eth1", second)
		Expect(err).NotTo(HaveOccurred())
		Expect(n.Del(b.ID, b.Path, "eth1", second)).To(Succeed())
		s.ExpectEqual(before)
		b.Check(n, ports...)
	})
})

// flat is the ports of an entry that may have none.
func flat(ports [][]map[string]any) []map[string]any {
	if len(ports) == 0 {
		return nil
	}
	return ports[0]
}
