package scenario_test

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// podman and nerdctl attach a container to several networks, each with a default route.
var _ = It("a container on two networks with a default gateway each", func() {
	s := newStage()
	b := s.container()
	networks := []conf{
		s.bridge(subnetV4, subnetV6).with(conf{"isDefaultGateway": true}),
		s.bridge("10.61.0.0/24", "fd61::/64").with(conf{"isDefaultGateway": true, "bridge": "lan1", "name": "lan1"}),
	}
	var before []any
	links := []string{"eth0", "eth1"}
	for i, c := range networks {
		add := s.callAs(b, "ADD", links[i], c)
		expectOK("ADD", add)
		before = append(before, json.RawMessage(add.Stdout))
	}
	for i, c := range networks {
		expectOK("CHECK", s.callAs(b, "CHECK", links[i], c.with(conf{"prevResult": before[i]})))
	}
	// The way out leads through one of them and back.
	serve(s.outside, "tcp", 7000)
	expectSeen(b.Space, "tcp", outsideV4, "7000", hostV4, otherV4)
	expectSeen(b.Space, "tcp", outsideV6, "7000", hostV6, otherV6)
	expectOK("DEL", s.callAs(b, "DEL", "eth1", networks[1]))
	expectOK("CHECK", s.callAs(b, "CHECK", "eth0", networks[0].with(conf{"prevResult": before[0]})))
	expectSeen(b.Space, "tcp", outsideV4, "7000", hostV4, otherV4)
	expectOK("DEL", s.callAs(b, "DEL", "eth0", networks[0]))
})

var _ = It("a container on two networks with the same published ports: the first keeps them", func() {
	s := newStage()
	b := s.container()
	first := s.network(list(newest, s.bridge(subnetV4), portmap()))
	second := s.network(encode(conf{"cniVersion": newest, "name": "lan1", "plugins": []conf{
		s.bridge("10.61.0.0/24").with(conf{"bridge": "lan1"}), portmap(),
	}}))
	before := s.warmBoth(first, second)
	for i, n := range []*lab.Network{first, second} {
		_, err := n.Add(b.id, b.Path, []string{"eth0", "eth1"}[i], webPorts())
		Expect(err).NotTo(HaveOccurred())
	}
	serve(b.Space, "tcp", 80)
	expectSeen(s.outside, "tcp", hostV4, "8080", outsideV4)
	Expect(first.Check(b.id, b.Path, "eth0", webPorts())).To(Succeed())
	Expect(second.Check(b.id, b.Path, "eth1", webPorts())).To(Succeed())
	Expect(second.Del(b.id, b.Path, "eth1", webPorts())).To(Succeed())
	expectSeen(s.outside, "tcp", hostV4, "8080", outsideV4)
	_, err := second.Add(b.id, b.Path, "eth1", webPorts())
	Expect(err).NotTo(HaveOccurred())
	other := s.container()
	_, err = second.Add(other.id, other.Path, "eth0", webPorts())
	Expect(err).To(MatchError(ContainSubstring("8080")))
	Expect(second.Del(other.id, other.Path, "eth0", webPorts())).To(Succeed())
	Expect(first.Del(b.id, b.Path, "eth0", webPorts())).To(Succeed())
	Expect(second.Del(b.id, b.Path, "eth1", webPorts())).To(Succeed())
	s.expectEqual(before)
})

// warmBoth is warm for two networks.
func (s *stage) warmBoth(a, b *lab.Network) snapshot.Snapshot {
	GinkgoHelper()
	s.warm(a, webPorts()...)
	return s.warm(b, webPorts()...)
}

// callAs is call for a link of another name.
func (s *stage) callAs(b *box, command, link string, c conf) lab.Answer {
	GinkgoHelper()
	return s.run(lab.Call{Plugin: "bridge", Command: command, ContainerID: b.id, Netns: b.Path, IfName: link, Config: c.stdin()})
}
