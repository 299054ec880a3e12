package main

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// hostJoins is step 3: the bridge has an address, so the host is on the switch too.
func hostJoins(w *world, p *page) bool {
	p.say("A bridge is also a network card of the host. With an address on it the host is",
		"one more neighbour, and the containers have a gateway.")
	p.typed("ip addr add 192.168.15.5/24 dev v-net-0", "ping 192.168.15.2")
	got, err := addresses(w.host, bridgeLink)
	p.equal("the address of "+bridgeLink, got, bridgeAddr+"/24", err)
	p.ping("the host pings blue", w.host, blueAddr)
	p.ping("blue pings the host", w.blue, bridgeAddr)
	fmt.Fprintln(p.out)
	p.say("The trap of this step: leave out the /24, and the kernel takes /32, a network of",
		"one. There is no route to any neighbour then. Typed by hand, between two spare",
		"namespaces:")
	p.typed("ip -n one addr add 192.168.15.1 dev veth-one   # no /24", "ip netns exec one ping 192.168.15.2")
	err = pingWithPrefix("/32")
	p.fails("without a prefix length", err, "unreachable")
	p.check("with /24", "answered", pingWithPrefix("/24"))
	p.say("", "The plugins take the length from the subnet of the network: none to forget.")
	return true
}

// pingWithPrefix connects two spare spaces by a veth pair and pings across it.
func pingWithPrefix(length string) error {
	one, err := stage.NewSpace("one")
	if err != nil {
		return err
	}
	defer one.Close()
	two, err := stage.NewSpace("two")
	if err != nil {
		return err
	}
	defer two.Close()
	if err := stage.Wire(one, "veth-one", redAddr+length, two, "veth-two", blueAddr+length); err != nil {
		return err
	}
	_, err = one.Ping(blueAddr, patience)
	return err
}
