package attack_test

import (
	"net"
	"net/netip"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// loopback are services of the host that nobody but the host should reach.
type loopback struct {
	host     *Space
	services map[netip.Addr]*inbox
	trusting *inbox // listens on the gateway's address, and trusts who comes from 127.0.0.1
}

func newLoopback(s *Stage) loopback {
	GinkgoHelper()
	l := loopback{host: s.Host, services: make(map[netip.Addr]*inbox)}
	for _, a := range []string{"127.0.0.1", "127.255.255.254"} {
		l.services[addr(a)] = listen(s.Host, a+":5300")
	}
	server, err := s.Host.Serve("tcp", "127.0.0.1:5301")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(server.Close)
	l.trusting = listen(s.Host, "0.0.0.0:5302")
	return l
}

// reached says whether somebody at a link, next to the host's MAC address, reaches a
// service by crafted frames: UDP, TCP, and from a loopback address itself.
func (l loopback) reached(from *Space, own netip.Addr, to net.HardwareAddr, hostAddr string) bool {
	GinkgoHelper()
	t, mac := newTap(from, "eth0"), MAC(from, "eth0")
	client, hit := netip.AddrPortFrom(own, 4000), false
	for a, box := range l.services {
		text := mark()
		t.send(ipFrame(to, mac, datagram(client, netip.AddrPortFrom(a, 5300), text)))
		hit = box.hears(string(text)) || hit
	}
	text := mark()
	t.send(ipFrame(to, mac, datagram(netip.MustParseAddrPort("127.0.0.1:4000"), netip.AddrPortFrom(addr(hostAddr), 5302), text)))
	hit = l.trusting.hears(string(text)) || hit
	t.send(ipFrame(to, mac, syn(client, netip.MustParseAddrPort("127.0.0.1:5301"))))
	return t.hears(Haste, addr("127.0.0.1").AsSlice(), own.AsSlice(), u16(5301)) || hit
}

var _ = row("T1", "a container reaches a service that listens on 127.0.0.0/8", func(r *Row) {
	s := reference()
	web := []map[string]any{Port("tcp", 8080, 80)}
	publish(s, both(s), Portmap(), web...)
	a, l := enter(s, both(s)), newLoopback(s)
	r.Works("the reference's portmap", func() bool { return l.reached(a.Space, a.v4, MAC(s.Host, BridgeName), GatewayV4) })

	for _, backend := range []string{"nftables", "iptables"} {
		s := ours()
		chain := Portmap().With(Conf{"backend": backend})
		v, l := publish(s, both(s), chain, web...), newLoopback(s)
		a := enter(s, both(s).With(Conf{"ipMasq": nil}))
		attack := func() bool { return l.reached(a.Space, a.v4, MAC(s.Host, BridgeName), GatewayV4) }
		Expect(s.Host.Sysctl("net/ipv4/conf/" + BridgeName + "/route_localnet")).To(Equal("1"))
		r.Fails("portmap with "+backend, attack)
		n := s.Network(List(both(s), chain))
		v.Del(n, web...)
		r.Fails("after DEL, with "+backend, attack)
		s.GC(both(s), a.Box)
		r.Fails("after GC has tidied, with "+backend, attack)
		if backend == "nftables" {
			disarm(s.Host, NAT, "guard")
			r.Works("without the guard", attack)
			Program(s.Host, "", "nft", "flush ruleset")
			enter(s, both(s).With(Conf{"bridge": "other0", "ipam": s.IPAM("10.61.0.0/24")}))
			Expect(s.Host.Sysctl("net/ipv4/conf/" + BridgeName + "/route_localnet")).To(Equal("1"))
			r.Fails("the guard made again by another network, while the bridge has the setting", attack)
		}
	}
})

var _ = row("T2", "a neighbour on the LAN reaches a service that listens on 127.0.0.0/8", func(r *Row) {
	s := ours()
	l := newLoopback(s)
	attack := func() bool { return l.reached(s.Outside, addr(OutsideV4), MAC(s.Host, "uplink"), HostV4) }
	r.Fails("without any route to loopback addresses", attack)
	// As kube-proxy does it for NodePorts on 127.0.0.1.
	Expect(s.Host.SetSysctl("net/ipv4/conf/all/route_localnet", "1")).To(Succeed())
	r.Works("net.ipv4.conf.all.route_localnet=1 and no plugin", attack)
	publish(s, both(s), Portmap(), Port("tcp", 8080, 80))
	r.Fails("the guard, although somebody routes loopback addresses everywhere", attack)
	r.Fails("a port on 127.0.0.1", func() bool {
		v := publish(s, both(s), Portmap(), Port("tcp", 8081, 80)).Space
		Serve(v, "tcp", 80)
		ExpectSeen(s.Host, "tcp", HostV4, "8081")
		t := newTap(s.Outside, "eth0")
		t.send(ipFrame(MAC(s.Host, "uplink"), MAC(s.Outside, "eth0"), syn(netip.MustParseAddrPort(OutsideV4+":4001"), netip.MustParseAddrPort("127.0.0.1:8081"))))
		return t.hears(Haste, addr(OutsideV4).AsSlice(), u16(8081), u16(4001))
	})
})
