// Package attached makes attachments for tests of rooms above pkg/firewall.
package attached

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/test/world"
)

func SomeVeth() link.Veth {
	return link.Veth{Owner: world.Owner, IfName: "eth0", Master: "br0", MTU: 1400, MAC: world.Owner.ContainerMAC(nil), Hairpin: true, Isolated: true}
}

func SomePorts() firewall.Ports {
	to := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	return firewall.Ports{
		Owner: world.Owner, Subnets: []netip.Prefix{netip.MustParsePrefix("10.88.0.0/16")},
		Ports: []hostport.Mapping{
			{Protocol: 6, HostPort: 8080, Container: to("10.88.0.2:80")},
			{Protocol: 6, HostPort: 8080, Container: to("[fd00::2]:80")},
			{HostIP: netip.MustParseAddr("127.0.0.1"), Protocol: 17, HostPort: 53, Container: to("10.88.0.2:53")},
		},
	}
}

func SomeMasquerade() firewall.Masquerade {
	return firewall.Masquerade{Owner: world.Owner, Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/16"), netip.MustParsePrefix("fd00::2/64")}}
}

// CountElements is how many elements of an owner there are, by set.
func CountElements(w world.World, tag string) int {
	w.Helper()
	rules, err := w.Rules()
	w.Must(err)
	n := 0
	for _, set := range []string{"hostport4", "anyport4", "hostport6", "anyport6", "snat4", "snat6", "masquerade4", "masquerade6", "masqueraded", "published", "guarded", "macs", "bound", "hostgate4", "anygate4", "hostgate6", "anygate6"} {
		list, err := rules.List(set)
		w.Must(err)
		for _, e := range list {
			if label.Same(e.Comment, tag) {
				n++
			}
		}
	}
	return n
}

// DropElement deletes an element, as a person with nft(8) would.
func DropElement(e nft.Element) func(w world.World) {
	return func(w world.World) {
		rules, err := w.Rules()
		w.Must(err)
		_, err = rules.Delete(world.Owner.Tag(), []nft.Element{e}, 1)
		w.Must(err)
	}
}
