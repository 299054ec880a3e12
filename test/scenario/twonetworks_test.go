package scenario_test

import (
	"encoding/json"
	"fmt"

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

// nerdctl detaches a container after it has ended, and the kernel deletes its links some time later.
var _ = It("a container on two networks with the same published port has just ended: DEL of both leaves nothing", func() {
	s := newStage()
	first := s.Network(list(Newest, bridge(s, SubnetV4), Portmap()))
	second := s.Network(Encode(Conf{"cniVersion": Newest, "name": "lan1", "plugins": []Conf{
		bridge(s, "10.61.0.0/24").With(Conf{"bridge": "lan1"}), Portmap(),
	}}))
	before := warmBoth(s, first, second)
	for range 5 {
		b := s.Container()
		for i, n := range []*Network{first, second} {
			_, err := n.Add(b.ID, b.Path, fmt.Sprint("eth", i), webPorts())
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(b.Close()).To(Succeed())
		for i, n := range []*Network{first, second} {
			Expect(n.Del(b.ID, "", fmt.Sprint("eth", i), webPorts())).To(Succeed())
		}
	}
	s.ExpectEqual(before)
})

var _ = DescribeTable("a port that two networks publish goes to the second with the end of the first",
	func(publish func(c Conf) []Conf, port map[string]any, leave func(b *Box, first *Network)) {
		s := newStage()
		b := s.Container()
		lan := func(i int) *Network {
			c := bridge(s, fmt.Sprintf("10.%d.0.0/24", 61+i), fmt.Sprintf("fd%d::/64", 61+i)).With(Conf{"bridge": fmt.Sprint("lan", i)})
			return s.Network(Encode(Conf{"cniVersion": Newest, "name": fmt.Sprint("lan", i), "plugins": publish(c)}))
		}
		networks := []*Network{lan(0), lan(1), lan(2)}
		before, ports := s.Settled(), []map[string]any{port}
		Serve(b.Space, "tcp", 80)
		for i, n := range networks {
			_, err := n.Add(b.ID, b.Path, fmt.Sprint("eth", i), ports)
			Expect(err).NotTo(HaveOccurred())
		}
		other := s.Container()
		_, err := networks[0].Add(other.ID, other.Path, "eth0", ports)
		Expect(err).To(MatchError(ContainSubstring("8080")))
		other.Del(networks[0], ports...)
		answers := func() {
			GinkgoHelper()
			ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
			if port["hostIP"] == nil {
				ExpectSeen(s.Outside, "tcp", HostV6, "8080", OutsideV6)
			}
		}
		answers()
		leave(b, networks[0])
		answers()
		Expect(networks[1].Check(b.ID, b.Path, "eth1", ports)).To(Succeed())
		Expect(networks[2].Check(b.ID, b.Path, "eth2", ports)).To(Succeed())
		Expect(networks[1].Del(b.ID, b.Path, "eth1", ports)).To(Succeed())
		answers()
		Expect(networks[2].Check(b.ID, b.Path, "eth2", ports)).To(Succeed())
		Expect(networks[2].Del(b.ID, b.Path, "eth2", ports)).To(Succeed())
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
		for _, n := range networks {
			Expect(n.GC(nil)).To(Succeed())
		}
		s.ExpectEqual(before)
	},
	Entry("DEL", behind, Port("tcp", 8080, 80), ends("eth0", Port("tcp", 8080, 80))),
	Entry("DEL without ports", behind, Port("tcp", 8080, 80), ends("eth0")),
	Entry("GC", behind, Port("tcp", 8080, 80), func(_ *Box, first *Network) { Expect(first.GC(nil)).To(Succeed()) }),
	Entry("bridge publishes", within, Port("tcp", 8080, 80), ends("eth0", Port("tcp", 8080, 80))),
	Entry("of one address of the host", behind, onHost(Port("tcp", 8080, 80)), ends("eth0", onHost(Port("tcp", 8080, 80)))),
	Entry("with conditions", limited, Port("tcp", 8080, 80), ends("eth0", Port("tcp", 8080, 80))),
)

func behind(c Conf) []Conf { return []Conf{c, Portmap()} }

func within(c Conf) []Conf { return []Conf{c.With(Conf{"capabilities": Conf{"portMappings": true}})} }

func limited(c Conf) []Conf {
	return []Conf{c, Portmap().With(Conf{"allowFrom": []string{OutsideV4, OutsideV6}})}
}

func onHost(port map[string]any) map[string]any {
	port["hostIP"] = HostV4
	return port
}

// ends is DEL of a link with these ports.
func ends(link string, ports ...map[string]any) func(*Box, *Network) {
	return func(b *Box, n *Network) { Expect(n.Del(b.ID, b.Path, link, ports)).To(Succeed()) }
}

// warmBoth is warm for two networks.
func warmBoth(s *Stage, a, b *Network) snapshot.Snapshot {
	GinkgoHelper()
	warm(s, a, webPorts()...)
	return warm(s, b, webPorts()...)
}
