package attack_test

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// asks says whether a server answers.
func asks(from *Space, host, port string) bool {
	return Reaches(from, "tcp", host, port)
}

var _ = row("T3", "a neighbour on the LAN reaches a container's ports that are not published", func(r *Row) {
	attach := func(s *Stage, c Conf) *Victim {
		GinkgoHelper()
		Expect(s.Outside.Route(SubnetV4, HostV4)).To(Succeed())
		Expect(s.Outside.Route(SubnetV6, HostV6)).To(Succeed())
		v := publish(s, c, Portmap(), Port("tcp", 8080, 80))
		Serve(v.Space, "tcp", 80)
		Serve(v.Space, "tcp", 81)
		return v
	}
	s := reference()
	v := attach(s, both(s))
	for _, a := range []string{v.v4.String(), v.v6.String()} {
		r.Works("the reference: "+a, func() bool { return asks(s.Outside, a, "81") })
	}
	s = ours()
	c := both(s).With(Conf{"isolateFromLan": true})
	v = attach(s, c)
	sibling := enter(s, c)
	for _, a := range []string{v.v4.String(), v.v6.String()} {
		for _, port := range []string{"80", "81"} {
			r.Fails("isolateFromLan: "+a+" "+port, func() bool { return asks(s.Outside, a, port) })
		}
		Expect(asks(s.Host, a, "81")).To(BeTrue(), "the host")
		Expect(asks(sibling.Space, a, "81")).To(BeTrue(), "a sibling")
	}
	Expect(asks(s.Outside, HostV4, "8080")).To(BeTrue(), "the published port")
	Expect(asks(s.Outside, HostV6, "8080")).To(BeTrue(), "the published port, IPv6")
	ExpectPing(v.Space, OutsideV4, OutsideV6)
	ExpectOK("CHECK", s.Check(sibling.Box, c, sibling.result))

	s = ours()
	c = alternative(s, both(s)).With(Conf{"isolateFromLan": true})
	v, sibling = attach(s, c), enter(s, c)
	for _, a := range []string{v.v4.String(), v.v6.String()} {
		r.Fails("isolateFromLan on a bridge called by its altname: "+a, func() bool { return asks(s.Outside, a, "81") })
		Expect(asks(sibling.Space, a, "81")).To(BeTrue(), "a sibling")
	}

	// Answers come in although nobody masquerades.
	s = ours()
	v = attach(s, both(s).With(Conf{"isolateFromLan": true, "ipMasq": nil}))
	ExpectPing(v.Space, OutsideV4, OutsideV6)
	r.Fails("isolateFromLan without ipMasq", func() bool { return asks(s.Outside, v.v4.String(), "81") })
})

// connections is how many the host's kernel tracks.
func connections(host *Space) int {
	GinkgoHelper()
	text, err := host.Sysctl("net/netfilter/nf_conntrack_count")
	Expect(err).NotTo(HaveOccurred())
	n, err := strconv.Atoi(text)
	Expect(err).NotTo(HaveOccurred())
	return n
}

var _ = row("T17", "a container fills the host's table of connections", func(r *Row) {
	const many, limit = 3000, 100
	open := func(s *Stage, a *Victim, from func(i int) netip.AddrPort) int {
		GinkgoHelper()
		before, t, to := connections(s.Host), newTap(a.Space, "eth0"), MAC(s.Host, BridgeName)
		for i := range many {
			t.send(ipFrame(to, a.mac, datagram(from(i), netip.MustParseAddrPort(OutsideV4+":9"), nil)))
		}
		pause()
		return connections(s.Host) - before
	}
	s := reference()
	a := enter(s, both(s))
	own := func(i int) netip.AddrPort { return a.at(uint16(1000 + i)) }
	spoofed := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(0x0a3c0100+i)))), 1000)
	}
	r.Works("the reference", func() bool { return open(s, a, own) > many/2 })
	s = ours()
	c := both(s).With(Conf{"maxConnections": limit})
	a = enter(s, c)
	r.Fails("maxConnections", func() bool { return open(s, a, own) > 2*limit })
	r.Works("maxConnections without ipspoofchk", func() bool { return open(s, a, spoofed) > many/2 })
	v := enter(s, c)
	ExpectPing(v.Space, OutsideV4, OutsideV6)
	ExpectOK("CHECK", s.Check(v.Box, c, v.result))
	s.Del(v.Box, c, v.result)

	s = ours()
	a = enter(s, c.With(bound).With(Conf{"ipam": s.IPAM(SubnetV4)}))
	r.Fails("maxConnections and ipspoofchk", func() bool { return open(s, a, own)+open(s, a, spoofed) > 2*limit })
})
