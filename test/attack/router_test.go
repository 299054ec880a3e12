package attack_test

import (
	"net/netip"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// advertise sends router advertisements from a container.
func advertise(a *Victim, prefix string) {
	GinkgoHelper()
	t := newTap(a.Space, "eth0")
	for range 3 {
		t.send(ipFrame(groupMAC(allNodes), a.mac, routerAdvertisement(linkLocal(a.mac), a.mac, netip.MustParsePrefix(prefix))))
	}
	pause()
}

// configured says whether a link has an address in the prefix, or a route by RA.
func configured(s *Space, link, prefix string) (yes bool) {
	GinkgoHelper()
	p := netip.MustParsePrefix(prefix)
	for _, a := range Addrs(s, link) {
		yes = yes || p.Contains(netip.MustParsePrefix(a).Addr())
	}
	for _, r := range RouteList(s, link, netlink.FAMILY_V6) {
		const byRA = 9 // RTPROT_RA
		yes = yes || r.Protocol == byRA
	}
	return yes
}

var _ = row("T4", "a router advertisement from a container configures the host", func(r *Row) {
	s := ours()
	a := enter(s, both(s))
	const key = "net/ipv6/conf/" + BridgeName + "/accept_ra"
	Expect(s.Host.Sysctl(key)).To(Equal("0"))
	const p1, p2 = "2001:db8:bad:1::/64", "2001:db8:bad:2::/64"
	r.Fails("all defences", func() bool { advertise(a, p1); return configured(s.Host, BridgeName, p1) })
	Expect(s.Host.SetSysctl(key, "2")).To(Succeed()) // 2: also while forwarding
	r.Fails("the rule alone", func() bool { advertise(a, p1); return configured(s.Host, BridgeName, p1) })
	disarm(s.Host, Frames, "control")
	r.Works("accept_ra=2 and no rule", func() bool { advertise(a, p1); return configured(s.Host, BridgeName, p1) })

	s = ours()
	a = enter(s, both(s))
	disarm(s.Host, Frames, "control")
	r.Fails("the sysctl alone", func() bool { advertise(a, p2); return configured(s.Host, BridgeName, p2) })

	// A bridge that the host made, with settings that are the host's. The network calls it by another name.
	s = ours()
	a = enter(s, alternative(s, both(s)))
	Expect(s.Host.SetSysctl(key, "2")).To(Succeed())
	r.Fails("the rule alone, on a bridge called by its altname", func() bool { advertise(a, p1); return configured(s.Host, BridgeName, p1) })
	disarm(s.Host, Frames, "control")
	r.Works("no rule, on a bridge called by its altname", func() bool { advertise(a, p2); return configured(s.Host, BridgeName, p2) })
})

// alternative is a configuration that calls a bridge, which is there already, by another name.
func alternative(s *Stage, c Conf) Conf {
	GinkgoHelper()
	Inside(s.Host, func() error {
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: BridgeName}})
	})
	Change(s.Host, BridgeName, netlink.LinkSetUp)
	Change(s.Host, BridgeName, func(l netlink.Link) error { return netlink.LinkAddAltName(l, "alternative") })
	return c.With(Conf{"bridge": "alternative"})
}

// viaOf is the gateway that a space uses for a destination.
func viaOf(s *Space, dst string) (via string) {
	GinkgoHelper()
	Inside(s, func() error {
		routes, err := netlink.RouteGet(addr(dst).AsSlice())
		if len(routes) > 0 {
			via = routes[0].Gw.String()
		}
		return err
	})
	return via
}

// misroute tells a victim, in the gateway's name, that the attacker is the better way
// to a destination that the victim has just sent something to.
func misroute(s *Stage, a, v *Victim, dst string) bool {
	GinkgoHelper()
	ExpectPing(v.Space, dst, a.v4.String())
	t, gateway := newTap(a.Space, "eth0"), addr(GatewayV4)
	// It quotes a packet of the victim: an answer to a ping, which needs no socket.
	quoted := icmp(v.v4, addr(dst), 0, 0, u32(1))
	t.send(ipFrame(v.mac, MAC(s.Host, BridgeName), icmp(gateway, v.v4, 5, 1, join(a.v4.AsSlice(), quoted))))
	pause()
	return viaOf(v.Space, dst) == a.v4.String()
}

// listensTo gives a container the settings that kernels have by default.
func listensTo(v *Victim) {
	GinkgoHelper()
	for _, key := range []string{"net/ipv6/conf/eth0/accept_ra", "net/ipv4/conf/eth0/accept_redirects", "net/ipv4/conf/all/accept_redirects"} {
		Expect(v.SetSysctl(key, "1")).To(Succeed())
	}
}

var _ = row("T5", "a router advertisement or redirect from a container changes a sibling's routes", func(r *Row) {
	const prefix = "2001:db8:bad:3::/64"
	s := reference()
	a, v := enter(s, both(s)), enter(s, both(s))
	r.Works("the reference: a router advertisement", func() bool { advertise(a, prefix); return configured(v.Space, "eth0", prefix) })
	listensTo(v)
	r.Works("the reference: an IPv4 redirect", func() bool { return misroute(s, a, v, FarV4) })

	s = ours()
	a, v = enter(s, both(s)), enter(s, both(s))
	r.Fails("all defences: a router advertisement", func() bool { advertise(a, prefix); return configured(v.Space, "eth0", prefix) })
	r.Fails("all defences: an IPv4 redirect", func() bool { return misroute(s, a, v, FarV4) })
	redirect := icmp(linkLocal(a.mac), v.v6, redirect6, 0, join(u32(0), v.v6.AsSlice(), addr(FarV6).AsSlice(), option(2, a.mac)))
	frame := ipFrame(v.mac, a.mac, redirect)
	r.Fails("all defences: an IPv6 redirect", func() bool { return arrives(a, frame, v.Space, "eth0") })

	// A victim that listens, as its image or its owner may have it.
	listensTo(v)
	r.Fails("the rule alone: a router advertisement", func() bool { advertise(a, prefix); return configured(v.Space, "eth0", prefix) })
	r.Fails("the rule alone: an IPv4 redirect", func() bool { return misroute(s, a, v, FarV4) })
	disarm(s.Host, Frames, "control")
	r.Works("a victim that listens, and no rule: an IPv4 redirect", func() bool { return misroute(s, a, v, FarV4) })
	for _, forwards := range []string{"0", "1"} {
		b := s.Container()
		// What all links may do counts for each link of a host that forwards nothing (IN_DEV_RX_REDIRECTS).
		Expect(b.SetSysctl("net/ipv4/conf/all/accept_redirects", "1")).To(Succeed())
		Expect(b.SetSysctl("net/ipv4/ip_forward", forwards)).To(Succeed())
		quiet := known(b, s.Add(b, both(s)))
		r.Fails("the container's settings alone, with ip_forward="+forwards, func() bool { return misroute(s, a, quiet, FarV4) })
	}
	r.Works("no rule: an IPv6 redirect", func() bool { return arrives(a, frame, v.Space, "eth0") })
})

var _ = row("T19", "a container that was given IPv4 only is reached by IPv6", func(r *Row) {
	answers := func(a, v *Victim) bool {
		t := newTap(a.Space, "eth0")
		for end := time.Now().Add(Patience); time.Now().Before(end); {
			t.send(ipFrame(v.mac, a.mac, icmp(linkLocal(a.mac), linkLocal(v.mac), 128, 0, u32(1))))
			if t.hears(Haste, linkLocal(v.mac).AsSlice(), linkLocal(a.mac).AsSlice(), []byte{129, 0}) {
				return true
			}
			if len(LinkLocals(v.Space, "eth0")) == 0 {
				return false
			}
		}
		return false
	}
	s := reference()
	a, v := enter(s, both(s)), enter(s, s.Bridge(SubnetV4))
	r.Works("the reference", func() bool { return answers(a, v) })
	s = ours()
	a, v = enter(s, both(s)), enter(s, s.Bridge(SubnetV4))
	r.Fails("disable_ipv6", func() bool { return answers(a, v) })
	v = enter(s, s.Bridge(SubnetV4).With(Conf{"enableIPv6LinkLocal": true}))
	r.Works("enableIPv6LinkLocal", func() bool { return answers(a, v) })
})
