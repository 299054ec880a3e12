package features_test

import (
	"fmt"
	"sync"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// tagged is the usual configuration in a VLAN, whose gateway is lan0.<vid>.
func tagged(s *Stage, vid int) Conf {
	return s.Bridge(SubnetV4, SubnetV6).With(Conf{"vlan": vid})
}

// red is another network, in VLAN 200 of the same bridge.
func red(s *Stage) Conf {
	return s.Bridge(newSubnetV4, newSubnetV6).With(Conf{"name": "red", "vlan": 200})
}

// vlans lists the VLANs of a bridge port.
func vlans(s *Stage, port string) (list []string) {
	GinkgoHelper()
	index := int32(Link(s.Host, port).Attrs().Index)
	Inside(s.Host, func() error {
		all, err := netlink.BridgeVlanList()
		for _, v := range all[index] {
			text := fmt.Sprint(v.Vid)
			if v.PortVID() {
				text += " pvid"
			}
			if v.EngressUntag() {
				text += " untagged"
			}
			list = append(list, text)
		}
		return err
	})
	return list
}

var _ = Describe("a kernel", func() {
	It("without VLAN filtering refuses vlan and vlanTrunk and nothing is left; with it they work", func() {
		s := NewStage(GinkgoT())
		has := s.HasVlans()
		for _, c := range []Conf{{"vlan": 100}, {"vlanTrunk": []Conf{{"id": 100}}}} {
			before := s.Settled()
			b := s.Container()
			a := s.Call(b, "ADD", s.Bridge().With(c))
			if has {
				ExpectOK("ADD", a)
				continue
			}
			ExpectError(a, 100, "VLAN filtering", "CONFIG_BRIDGE_VLAN_FILTERING")
			Expect(HasLink(b.Space, "eth0")).To(BeFalse())
			s.ExpectEqual(before)
		}
	})
})

var _ = Describe("vlan", func() {
	var s *Stage
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		s.NeedVlans()
	})

	It("keeps containers of one VLAN together and from others apart", func() {
		flat := s.Bridge().With(Conf{"ipam": s.IPAM(SubnetV4, SubnetV6)})
		a, _ := s.Attach(flat.With(Conf{"vlan": 100}))
		s.Attach(flat.With(Conf{"vlan": 100}))
		s.Attach(flat.With(Conf{"vlan": 200}))
		s.Attach(flat)
		ExpectPing(a.Space, SecondV4, SecondV6)
		for _, other := range []string{"10.60.0.4", "10.60.0.5", "fd60::4", "fd60::5"} {
			ExpectSilence(a.Space, other)
		}
	})

	It("lets two VLANs use the same addresses", func() {
		flat := s.Bridge().With(Conf{"ipam": s.IPAM(SubnetV4)})
		blue, green := flat.With(Conf{"name": "blue", "vlan": 100}), flat.With(Conf{"name": "green", "vlan": 200})
		a, _ := s.Attach(blue)
		b, _ := s.Attach(green)
		s.Attach(green)
		ExpectPing(b.Space, SecondV4)
		ExpectSilence(a.Space, SecondV4)
		s.Attach(blue)
		ExpectPing(a.Space, SecondV4)
	})

	It("has a gateway of its own, which the result tells", func() {
		c := tagged(s, 100)
		b, result := s.Attach(c)
		Expect(result.Interfaces).To(HaveLen(4))
		gateway := result.Interfaces[3]
		Expect(gateway.Name).To(Equal("lan0.100"))
		Expect(gateway.Sandbox).To(BeEmpty())
		Expect(gateway.Mac).To(Equal(MAC(s.Host, "lan0.100").String()))
		Expect(gateway.Mtu).To(Equal(Link(s.Host, "lan0.100").Attrs().MTU))
		Expect(Addrs(s.Host, "lan0.100")).To(ConsistOf(GatewayV4+"/24", GatewayV6+"/64"))
		Expect(Addrs(s.Host, BridgeName)).To(BeEmpty())
		for _, ip := range result.IPs {
			Expect(*ip.Interface).To(Equal(2))
		}
		ExpectPing(b.Space, GatewayV4, GatewayV6)
		ExpectOK("CHECK", s.Check(b, c, result))
	})

	for _, callNf := range []string{"0", "1"} {
		Context("where bridged packets pass the host's rules: "+callNf, func() {
			BeforeEach(func() { s.BridgeNetfilter(callNf) })

			It("goes out with the host's address, as another does", func() {
				a, aResult := s.Attach(tagged(s, 100))
				b, bResult := s.Attach(red(s))
				Serve(s.Outside, "tcp", 7000)
				for _, box := range []*Box{a, b} {
					ExpectSeen(box.Space, "tcp", OutsideV4, "7000", HostV4)
					ExpectSeen(box.Space, "tcp", OutsideV6, "7000", HostV6)
				}
				Expect(Addrs(s.Host, "lan0.200")).To(ConsistOf(newGatewayV4+"/24", newGatewayV6+"/64"))
				ExpectOK("CHECK", s.Check(a, tagged(s, 100), aResult))
				ExpectOK("CHECK", s.Check(b, red(s), bResult))
			})

			DescribeTable("publishes ports", func(list func() []byte) {
				n := s.Network(list())
				b := s.Container()
				ports := []map[string]any{Port("tcp", 8080, 80)}
				b.Add(n, ports...)
				Serve(b.Space, "tcp", 80)
				ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
				ExpectSeen(s.Outside, "tcp", HostV6, "8080", OutsideV6)
				ExpectSeen(s.Host, "tcp", HostV4, "8080")
				ExpectSeen(s.Host, "tcp", "127.0.0.1", "8080")
				ExpectSeen(b.Space, "tcp", HostV4, "8080")
				b.Check(n, ports...)
				b.Del(n, ports...)
				ExpectRefused(s.Outside, "tcp", HostV4, "8080")
			},
				Entry("by portmap", func() []byte { return List(tagged(s, 100).With(Conf{"hairpinMode": true}), Portmap()) }),
				Entry("by itself", func() []byte { return List(Publishing(tagged(s, 100).With(Conf{"hairpinMode": true}))) }),
			)

			It("and forwardAccept open somebody's firewall for the VLAN's gateway", func() {
				firewalld.up(s)
				c := tagged(s, 100)
				ExpectError(s.Status(c), 51, firewalld.chain, "lan0.100")
				with := c.With(Conf{"forwardAccept": true})
				b, result := s.Attach(with)
				Serve(s.Outside, "tcp", 7000)
				ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
				ExpectOK("CHECK", s.Check(b, with, result))
			})
		})
	}

	// Where bridged packets pass the host's rules, those of the reference masquerade
	// them on the way to the gateway's port already, and they are lost: its own as ours.
	It("goes out by the compatible backend", func() {
		s.BridgeNetfilter("0")
		NewXtables(s, "nft")
		b, _ := s.Attach(tagged(s, 100).With(Conf{"ipMasqBackend": "iptables"}))
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
		ExpectSeen(b.Space, "tcp", OutsideV6, "7000", HostV6)
	})

	It("of several containers at once has one gateway", func() {
		c := tagged(s, 100)
		boxes := []*Box{s.Container(), s.Container(), s.Container(), s.Container()}
		answers := make([]Answer, len(boxes))
		var all sync.WaitGroup
		for i, b := range boxes {
			all.Go(func() {
				defer GinkgoRecover()
				answers[i] = s.Call(b, "ADD", c)
			})
		}
		all.Wait()
		for i, b := range boxes {
			ExpectOK("ADD", answers[i])
			ExpectPing(b.Space, GatewayV4, GatewayV6)
			ExpectOK("CHECK", s.Check(b, c, answers[i].Result))
		}
	})

	It("with macspoofchk guards tagged and untagged frames", func() {
		c := s.Bridge().With(Conf{"vlan": 100, "vlanTrunk": []Conf{{"id": 300}}, "macspoofchk": true})
		sender, _ := s.Attach(c)
		hearer, _ := s.Attach(c)
		hears := listen(hearer.Space, "eth0")
		own := MAC(sender.Space, "eth0")
		say(sender.Space, "eth0", everybodyBut(own), everybody, untagged, "another's")
		say(sender.Space, "eth0", everybodyBut(own), everybody, 300, "another's, tagged")
		say(sender.Space, "eth0", own, everybody, 300, "own, tagged")
		say(sender.Space, "eth0", own, everybody, untagged, "own")
		Expect(hears.until("own")).To(Equal([]string{"300:own, tagged", "own"}))
	})
})
