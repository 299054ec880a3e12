package attack_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// inNetwork attaches one more container to a network of any name. A failed ADD is
// followed by DEL, as runtimes do it.
func inNetwork(s *Stage, bridge, portmap Conf, ports ...map[string]any) (*Box, error) {
	GinkgoHelper()
	b := s.Container()
	n := s.Network(List(bridge, portmap))
	_, err := n.Add(b.ID, b.Path, "eth0", ports)
	if err != nil {
		b.Del(n, ports...)
	}
	return b, err
}

var _ = row("T10", "a container takes a port that another one has published", func(r *Row) {
	on := func(ip string) map[string]any {
		p := Port("tcp", 8080, 80)
		p["hostIP"] = ip
		return p
	}
	s := reference()
	publish(s, both(s), Portmap(), Port("tcp", 8080, 80))
	r.Works("the reference publishes it twice", func() bool {
		_, err := inNetwork(s, both(s), Portmap(), Port("tcp", 8080, 80))
		return err == nil
	})
	for _, backend := range []string{"nftables", "iptables"} {
		s = ours()
		chain := Portmap().With(Conf{"backend": backend})
		v := publish(s, both(s), chain, Port("tcp", 8080, 80))
		Serve(v.Space, "tcp", 80)
		before := s.Settled()
		for _, p := range []map[string]any{Port("tcp", 8080, 80), Port("tcp", 8080, 81), on("0.0.0.0"), on("::")} {
			r.Fails(backend+": refused, with the holder's name", func() bool {
				_, err := inNetwork(s, both(s), chain, p)
				if err != nil {
					Expect(err).To(MatchError(And(ContainSubstring("8080"), ContainSubstring(v.ID))))
				}
				return err == nil
			})
			s.ExpectEqual(before)
		}
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	}
})

var _ = row("T26", "one network's attachments change the conditions of another's", func(r *Row) {
	second := func(s *Stage) Conf {
		return s.Bridge("10.61.0.0/24").With(Conf{"name": "second", "bridge": "lan1"})
	}
	// The first network's port is not for the neighbour on the LAN.
	opened := func(s *Stage, chain, other Conf) bool {
		GinkgoHelper()
		first := s.Bridge(SubnetV4)
		v := publish(s, first, chain, Port("tcp", 8080, 80))
		Serve(v.Space, "tcp", 80)
		Expect(asks(s.Outside, HostV4, "8080")).To(BeFalse(), "the condition is in force")
		b, err := inNetwork(s, second(s), other, Port("tcp", 9090, 80))
		Expect(err).NotTo(HaveOccurred())
		open := asks(s.Outside, HostV4, "8080")
		b.Del(s.Network(List(second(s), other)), Port("tcp", 9090, 80))
		return asks(s.Outside, HostV4, "8080") || open
	}
	nft := Portmap().With(Conf{"backend": "nftables"})
	s := reference()
	r.Works("the reference, with nftables", func() bool {
		return opened(s, nft.With(Conf{"conditionsV4": []string{"ip", "saddr", "!=", OutsideV4}}), nft)
	})
	s = ours()
	words := Conf{"conditionsV4": []string{"!", "-s", OutsideV4}}
	r.Fails("conditions", func() bool { return opened(s, Portmap().With(words), Portmap()) })
	s = ours()
	r.Fails("conditions, and iptables for both", func() bool {
		return opened(s, Portmap().With(words), Portmap().With(Conf{"backend": "iptables"}))
	})
})
