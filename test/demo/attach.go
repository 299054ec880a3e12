package main

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// attach is step 1: both containers get attached to the bridge.
func attach(w *world, p *page) bool {
	p.say("A bridge is a switch in software, a veth pair a cable. The runtime makes the two",
		"namespaces; one ADD for each lays the cable, plugs it in and gives it an address.")
	p.typed(
		"ip netns add red",
		"ip link add v-net-0 type bridge",
		"ip link set dev v-net-0 up",
		"ip link add veth-red type veth peer name veth-red-br",
		"ip link set veth-red netns red",
		"ip link set veth-red-br master v-net-0",
		"ip -n red addr add 192.168.15.1/24 dev veth-red",
		"ip -n red link set veth-red up",
		"ip link set veth-red-br up",
		" ... and all of it again for blue, with 192.168.15.2")
	p.check("STATUS: the plugins could attach now", "yes", w.net.Status())
	red, blue := w.add(p, w.red), w.add(p, w.blue)
	if red == nil || blue == nil {
		return false
	}
	kind, err := linkKind(w.host, bridgeLink)
	p.equal(bridgeLink+" on the host", kind, "bridge, up", err)
	for _, c := range []struct {
		space *stage.Space
		want  string
	}{{w.red, redAddr + "/24"}, {w.blue, blueAddr + "/24"}} {
		got, err := addresses(c.space, eth)
		p.equal(fmt.Sprintf("the address inside %s", c.space.Name), got, c.want, err)
	}
	return true
}
