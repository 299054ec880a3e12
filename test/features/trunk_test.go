package features_test

import (
	"net"
	"slices"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// everybodyBut is some other unicast address.
func everybodyBut(own net.HardwareAddr) net.HardwareAddr {
	other := slices.Clone(own)
	other[5] ^= 0x40
	return other
}

// broadcast says a word to everybody from the container's own address.
func broadcast(b *Box, tag uint16, word string) {
	GinkgoHelper()
	say(b.Space, "eth0", MAC(b.Space, "eth0"), everybody, tag, word)
}

var _ = Describe("vlanTrunk", func() {
	var s *Stage
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		s.NeedVlans()
	})

	// in makes a link-layer container.
	in := func(c Conf) (*Box, string) {
		GinkgoHelper()
		b, result := s.Attach(s.Bridge().With(c))
		return b, result.Interfaces[1].Name
	}

	It("carries the frames of its VLANs with their tags, and no others", func() {
		router, port := in(Conf{"vlanTrunk": []Conf{{"id": 100}, {"minID": 200, "maxID": 202}}})
		Expect(vlans(s, port)).To(ConsistOf("1 pvid untagged", "100", "200", "201", "202"))
		blue, _ := in(Conf{"vlan": 100})
		green, _ := in(Conf{"vlan": 201})
		gray, _ := in(Conf{"vlan": 300})
		hears := map[*Box]ear{}
		for _, b := range []*Box{router, blue, green, gray} {
			hears[b] = listen(b.Space, "eth0")
		}

		broadcast(router, 300, "to a VLAN that is not in the trunk")
		broadcast(router, 100, "to blue")
		broadcast(router, 201, "to green")
		Expect(hears[blue].until("to blue")).To(HaveLen(1))
		Expect(hears[green].until("to green")).To(HaveLen(1))

		broadcast(gray, untagged, "from gray")
		broadcast(blue, untagged, "from blue")
		Expect(hears[router].until("100:from blue")).To(HaveLen(1))
		broadcast(green, untagged, "from green")
		Expect(hears[router].until("201:from green")).To(HaveLen(1))

		second, _ := in(Conf{"vlan": 300})
		broadcast(second, untagged, "from the second gray")
		Expect(hears[gray].until("from the second gray")).To(HaveLen(1))
	})

	It("beside vlan carries both, tagged and untagged", func() {
		router, port := in(Conf{"vlan": 300, "vlanTrunk": []Conf{{"id": 100}}})
		Expect(vlans(s, port)).To(ConsistOf("100", "300 pvid untagged"))
		blue, _ := in(Conf{"vlan": 100})
		gray, _ := in(Conf{"vlan": 300})
		hearsBlue, hearsGray := listen(blue.Space, "eth0"), listen(gray.Space, "eth0")
		broadcast(router, 100, "tagged")
		broadcast(router, untagged, "untagged")
		Expect(hearsBlue.until("tagged")).To(HaveLen(1))
		Expect(hearsGray.until("untagged")).To(HaveLen(1))
	})

	It("of nothing only makes the bridge tell VLANs apart", func() {
		_, port := in(Conf{"vlanTrunk": []Conf{}})
		Expect(vlans(s, port)).To(ConsistOf("1 pvid untagged"))
	})

	It("lets a forged tag out of its VLANs no more than in", func() {
		blue, _ := in(Conf{"vlan": 100})
		gray, _ := in(Conf{"vlan": 300})
		hears := listen(gray.Space, "eth0")
		broadcast(blue, 300, "hopping")
		second, _ := in(Conf{"vlan": 300})
		broadcast(second, untagged, "at home")
		Expect(hears.until("at home")).To(HaveLen(1))
	})
})

var _ = Describe("preserveDefaultVlan", func() {
	It("keeps VLAN 1 on the port, and without it it is gone", func() {
		s := NewStage(GinkgoT())
		s.NeedVlans()
		both, result := s.Attach(s.Bridge().With(Conf{"vlan": 100, "preserveDefaultVlan": true}))
		alone, aloneResult := s.Attach(s.Bridge().With(Conf{"vlan": 100}))
		plain, _ := s.Attach(s.Bridge())
		Expect(vlans(s, result.Interfaces[1].Name)).To(ConsistOf("1 untagged", "100 pvid untagged"))
		Expect(vlans(s, aloneResult.Interfaces[1].Name)).To(ConsistOf("100 pvid untagged"))
		hearsBoth, hearsAlone := listen(both.Space, "eth0"), listen(alone.Space, "eth0")
		broadcast(plain, untagged, "by VLAN 1")
		Expect(hearsBoth.until("by VLAN 1")).To(HaveLen(1))
		broadcast(both, untagged, "by VLAN 100")
		Expect(hearsAlone.until("by VLAN 100")).To(HaveLen(1))
		ExpectOK("CHECK", s.Check(both, s.Bridge().With(Conf{"vlan": 100, "preserveDefaultVlan": true}), result))
	})
})
