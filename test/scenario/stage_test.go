package scenario_test

import (
	"net"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// otherV4 and otherV6 are the host's as well.
const otherV4, otherV6 = "203.0.113.3", "2001:db8:f::3"

// newStage is a stage whose host has several addresses.
func newStage() *Stage {
	GinkgoHelper()
	s := NewStage(GinkgoT())
	s.Must(s.Host.Address("uplink", otherV4+"/24,"+otherV6+"/64"))
	return s
}

// bridge is the usual configuration over the given subnets; without any it is a
// link-layer one.
func bridge(s *Stage, subnets ...string) Conf {
	return s.Bridge(subnets...).With(Conf{"hairpinMode": true})
}

// list is a configuration list.
func list(version string, plugins ...Conf) []byte {
	return Encode(Conf{"cniVersion": version, "name": NetworkName, "plugins": plugins})
}

// webPorts is a mapping of each protocol.
func webPorts() []map[string]any {
	return []map[string]any{Port("tcp", 8080, 80), Port("udp", 8080, 80)}
}

// warm attaches and detaches a container, so that the shared objects (bridge, nft
// table, sysctls) exist afterwards, and returns the state at rest.
func warm(s *Stage, n *Network, ports ...map[string]any) snapshot.Snapshot {
	GinkgoHelper()
	b := s.Container()
	b.Add(n, ports...)
	s.Settled()
	b.Del(n, ports...)
	return s.Settled()
}

func callVersion(plugin string, stdin []byte) Call {
	return Call{Plugin: plugin, Command: "VERSION", Config: stdin}
}

// bridgePort is the host's end of the pair whose result is given by name.
func bridgePort(s *Space, name string) (port netlink.Protinfo) {
	GinkgoHelper()
	Change(s, name, func(l netlink.Link) (err error) {
		port, err = netlink.LinkGetProtinfo(l)
		return err
	})
	return port
}

func parseMAC(text string) net.HardwareAddr {
	GinkgoHelper()
	mac, err := net.ParseMAC(text)
	Expect(err).NotTo(HaveOccurred())
	return mac
}
