package main

import (
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// wayOut is step 4: from a container to the world.
func wayOut(w *world, p *page) bool {
	p.say("The world has no route back to "+subnet+". So the host forwards, and lends its",
		"own address to whoever leaves: that is masquerading.")
	p.typed(
		"ip netns exec blue ip route add default via 192.168.15.5",
		"sysctl -w net.ipv4.ip_forward=1",
		"iptables -t nat -A POSTROUTING -s 192.168.15.0/24 -j MASQUERADE",
		"ip netns exec blue ping 192.168.1.3")
	for _, s := range []*stage.Space{w.red, w.blue} {
		got, err := defaultRoute(s)
		p.equal("the default route in "+s.Name, got, "default via "+bridgeAddr, err)
	}
	forward, err := w.host.Sysctl("net/ipv4/ip_forward")
	p.equal("the host's ip_forward", forward, "1", err)
	p.ping("blue pings the outside", w.blue, outsideAddr)
	server, err := w.outside.Serve("tcp", outsideAddr+":8080")
	if !p.check("a web server outside", "listens on "+outsideAddr+":8080", err) {
		return true
	}
	defer server.Close()
	p.seen("it sees blue come from the host's address", w.blue, outsideAddr+":8080", uplinkAddr)
	p.seen("it sees red come from the host's address", w.red, outsideAddr+":8080", uplinkAddr)
	return true
}

// seen is a check that the server at addr answers, and sees the client as want; as
// anybody, where want is "".
func (p *page) seen(what string, from *stage.Space, addr, want string) {
	answer, err := from.Ask("tcp", addr, patience)
	if err != nil {
		p.check(what, "", err)
		return
	}
	client, err := netip.ParseAddrPort(answer)
	if err == nil && want != "" && client.Addr().String() != want {
		err = fmt.Errorf("seen as %s, expected %s", client.Addr(), want)
	}
	p.check(what, fmt.Sprintf("seen as %s", client.Addr()), err)
}
