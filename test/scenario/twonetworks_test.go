package scenario_test

import (
	"encoding/json"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// podman and nerdctl attach a container to several networks, each with a default route.
var _ = It("a container on two networks with a default gateway each", func() {
	s := newStage()
	b := s.Container()
	networks := []Conf{
		bridge(s, SubnetV4, SubnetV6).With(Conf{"isDefaultGateway": true}),
		bridge(s, "10.61.0.0/24", "fd61::/64").With(Conf{"isDefaultGateway": true, "bridge": "lan1", "name": "lan1"}),
	}
	var before []any
	links := []string{"eth0", "eth1"}
	for i, c := range networks {
		add := s.CallAs(b, links[i], "ADD", c)
		ExpectOK("ADD", add)
		before = append(before, json.RawMessage(add.Stdout))
	}
	for i, c := range networks {
		ExpectOK("CHECK", s.CallAs(b, links[i], "CHECK", c.With(Conf{"prevResult": before[i]})))
	}
	// The way out leads through one of them and back.
	Serve(s.Outside, "tcp", 7000)
	ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4, otherV4)
	ExpectSeen(b.Space, "tcp", OutsideV6, "7000", HostV6, otherV6)
	ExpectOK("DEL", s.CallAs(b, "eth1", "DEL", networks[1]))
	ExpectOK("CHECK", s.CallAs(b, "eth0", "CHECK", networks[0].With(Conf{"prevResult": before[0]})))
	ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4, otherV4)
	ExpectOK("DEL", s.CallAs(b, "eth0", "DEL", networks[0]))
})

var _ = It("a container on two networks with the same published ports: the first keeps them", func() {
	s := newStage()
	b := s.Container()
	first := s.Network(list(Newest, bridge(s, SubnetV4), Portmap()))
	second := s.Network(Encode(Conf{"cniVersion": Newest, "name": "lan1", "plugins": []Conf{
		bridge(s, "10.61.0.0/24").With(Conf{"bridge": "lan1"}), Portmap(),
	}}))
	before := warmBoth(s, first, second)
	for i, n := range []*Network{first, second} {
		_, err := n.Add(b.ID, b.Path, []string{"eth0", "eth1"}[i], webPorts())
		Expect(err).NotTo(HaveOccurred())
	}
	Serve(b.Space, "tcp", 80)
	ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	b.Check(first, webPorts()...)
	Expect(second.Check(b.ID, b.Path, "eth1", webPorts())).To(Succeed())
	Expect(second.Del(b.ID, b.Path, "eth1", webPorts())).To(Succeed())
	ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	_, err := second.Add(b.ID, b.Path, "eth1", webPorts())
	Expect(err).NotTo(HaveOccurred())
	other := s.Container()
	_, err = second.Add(other.ID, other.Path, "eth0", webPorts())
	Expect(err).To(MatchError(ContainSubstring("8080")))
	other.Del(second, webPorts()...)
	b.Del(first, webPorts()...)
	Expect(second.Del(b.ID, b.Path, "eth1", webPorts())).To(Succeed())
	s.ExpectEqual(before)
})

// warmBoth is warm for two networks.
func warmBoth(s *Stage, a, b *Network) snapshot.Snapshot {
	GinkgoHelper()
	warm(s, a, webPorts()...)
	return warm(s, b, webPorts()...)
}
