package features_test

import (
	"fmt"
	"net"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// maxPorts is the kernel's BR_MAX_PORTS, less the number 0, which it does not use.
const maxPorts = 1023

var _ = Describe("portIsolation", func() {
	It("keeps isolated containers apart, and from nobody else", func() {
		s := NewStage(GinkgoT())
		c := s.Bridge(SubnetV4, SubnetV6).With(Conf{"portIsolation": true})
		a, result := s.Attach(c)
		b, _ := s.Attach(c)
		free, _ := s.Attach(s.Bridge(SubnetV4, SubnetV6))
		for _, isolated := range []*Box{a, b} {
			ExpectPing(isolated.Space, GatewayV4, GatewayV6, OutsideV4)
		}
		ExpectPing(free.Space, FirstV4, SecondV4, FirstV6, SecondV6)
		ExpectSilence(a.Space, SecondV4)
		ExpectSilence(b.Space, FirstV6)
		ExpectOK("CHECK", s.Check(a, c, result))
		Change(s.Host, result.Interfaces[1].Name, func(l netlink.Link) error { return netlink.LinkSetIsolated(l, false) })
		ExpectError(s.Check(a, c, result), Drift, "isolated")
	})
})

var _ = Describe("promiscMode", func() {
	It("makes the bridge see all frames, an existing one as well", func() {
		s := NewStage(GinkgoT())
		sender, _ := s.Attach(s.Bridge(SubnetV4))
		Expect(Link(s.Host, BridgeName).Attrs().RawFlags & unix.IFF_PROMISC).To(BeZero())
		c := s.Bridge(SubnetV4).With(Conf{"promiscMode": true})
		other, result := s.Attach(c)
		Expect(Link(s.Host, BridgeName).Attrs().RawFlags & unix.IFF_PROMISC).NotTo(BeZero())
		hears := listen(s.Host, BridgeName)
		say(sender.Space, "eth0", MAC(sender.Space, "eth0"), MAC(other.Space, "eth0"), untagged, "between two containers")
		Expect(hears.until("between two containers")).To(HaveLen(1))
		ExpectOK("CHECK", s.Check(other, c, result))
		Change(s.Host, BridgeName, netlink.SetPromiscOff)
		ExpectError(s.Check(other, c, result), Drift, "promiscuous")
	})

	It("contradicts hairpinMode", func() {
		s := NewStage(GinkgoT())
		ExpectError(s.Call(s.Container(), "ADD", s.Bridge().With(Conf{"promiscMode": true, "hairpinMode": true})), 7, "hairpinMode", "promiscMode")
	})
})

var _ = Describe("the alias of the host's link", func() {
	alias := func(s *Stage, args string) string {
		b := s.Container()
		a := s.Run(Call{
			Plugin: "bridge", Command: "ADD", ContainerID: b.ID, Netns: b.Path, IfName: "eth0",
			Args: args, Config: s.Bridge(SubnetV4).Stdin(),
		})
		ExpectOK("ADD", a)
		text := Link(s.Host, a.Result.Interfaces[1].Name).Attrs().Alias
		Expect(text).To(ContainSubstring("lan/" + b.ID + "/eth0"))
		return text
	}

	It("names network, container and interface", func() {
		Expect(alias(NewStage(GinkgoT()), "")).NotTo(ContainSubstring("pod"))
	})

	It("names the pod, where the runtime knows one", func() {
		const args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-7d9f-x2x;K8S_POD_INFRA_CONTAINER_ID=0;K8S_POD_UID=1-2"
		Expect(alias(NewStage(GinkgoT()), args)).To(HaveSuffix(" pod shop/web-7d9f-x2x"))
	})
})

var _ = Describe("a bridge", func() {
	// The free place of the 1,023 is for the container that proves that there was one.
	It("with all ports taken says so, and nothing is left", func() {
		s := NewStage(GinkgoT())
		c := s.Bridge(SubnetV4)
		b, result := s.Attach(c)
		fill(s, maxPorts-2)
		last, lastResult := s.Attach(c)
		late := s.Container()
		ExpectError(s.Call(late, "ADD", c), 100, BridgeName, "full", "1023")
		// A whole snapshot would read the 100 settings of each of 1,000 links.
		Expect(HasLink(late.Space, "eth0")).To(BeFalse())
		Expect(s.Lease("10.60.0.4")).NotTo(BeAnExistingFile())
		for _, set := range []string{"masquerade4", "masqueraded"} {
			Expect(Elements(s.Host, NAT, set)).To(HaveLen(2), set)
		}
		s.Del(last, c, lastResult)
		ExpectOK("ADD", s.Call(late, "ADD", c))
		ExpectOK("CHECK", s.Check(b, c, result))
	})
})

// fill plugs n links in, which stay down: both ends of each pair are in one bridge.
func fill(s *Stage, n int) {
	GinkgoHelper()
	bridge := Link(s.Host, BridgeName)
	Inside(s.Host, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer h.Close()
		for i := 0; i < n; i += 2 {
			ends := []string{fmt.Sprintf("x%d", i), fmt.Sprintf("x%d", i+1)}
			pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: ends[0]}, PeerName: ends[1]}
			if err := h.LinkAdd(pair); err != nil {
				return err
			}
			for j, end := range ends {
				if i+j == n {
					break
				}
				l, err := h.LinkByName(end)
				if err != nil {
					return err
				}
				if err := h.LinkSetMaster(l, bridge); err != nil {
					return fmt.Errorf("port %d: %w", i+j, err)
				}
			}
		}
		return nil
	})
}

var _ = Describe("a container with several interfaces", func() {
	It("in one network and in others loses only the one that DEL names", func() {
		s := NewStage(GinkgoT())
		lan := s.Bridge(SubnetV4).With(Conf{"isDefaultGateway": nil, "isGateway": true})
		wan := s.Bridge("10.61.0.0/24", SubnetV6).With(Conf{"name": "wan", "bridge": "wan0", "isDefaultGateway": nil, "isGateway": true})
		b := s.Container()
		type attached struct {
			ifName string
			c      Conf
		}
		all := []attached{{"eth0", lan}, {"net1", lan}, {"net2", wan}}
		calls := map[string]Conf{}
		for _, a := range all {
			added := s.CallAs(b, a.ifName, "ADD", a.c)
			ExpectOK("ADD", added)
			calls[a.ifName] = a.c.With(Conf{"prevResult": added.Result})
		}
		for i, a := range all {
			for _, rest := range all[i:] {
				ExpectOK("CHECK of "+rest.ifName, s.CallAs(b, rest.ifName, "CHECK", calls[rest.ifName]))
			}
			ExpectOK("DEL", s.CallAs(b, a.ifName, "DEL", calls[a.ifName]))
			Expect(HasLink(b.Space, a.ifName)).To(BeFalse())
		}
		for _, l := range Links(s.Host) {
			Expect(l.Attrs().MasterIndex).To(BeZero(), l.Attrs().Name)
		}
	})

	It("has different MAC addresses on a link-layer network", func() {
		s := NewStage(GinkgoT())
		b := s.Container()
		var macs []net.HardwareAddr
		for _, ifName := range []string{"net1", "net2"} {
			ExpectOK("ADD", s.CallAs(b, ifName, "ADD", s.Bridge()))
			macs = append(macs, MAC(b.Space, ifName))
		}
		Expect(macs[0]).NotTo(Equal(macs[1]))
	})
})
