package nft

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Messages of neighbour discovery and of multicast listeners (RFC 4861, RFC 3810).
const (
	routerSolicitation    = 133
	neighborSolicitation  = 135
	neighborAdvertisement = 136
	redirect              = 137
	listenerReport        = 143
)

// boundPrefix is what the names of ports' chains begin with.
const boundPrefix = "bound-"

// BoundChain accepts what a port sends from its own addresses, and what a container
// must send before it has one. Everything else is dropped, unknown protocols too:
// whatever carries an address in a place that is not looked at. Since it has the
// port's name it is the port's alone, and goes with the element that leads to it.
func BoundChain(linkName string, mac net.HardwareAddr, addrs []netip.Addr) Chain {
	var v4, v6 []netip.Addr
	for _, a := range addrs {
		if a.Is4() {
			v4 = append(v4, a)
		} else {
			v6 = append(v6, a)
		}
	}
	rules := append(boundARP(mac, v4), bound4(v4)...)
	rules = append(rules, boundDiscovery(mac, v6)...)
	rules = append(rules, bound6(v6)...)
	c := named(boundPrefix+linkName, append(rules,
		rule("an address that is not this port's, or neither ARP nor IP", stop(expr.VerdictDrop))))
	c.Link = true
	return c
}

func boundARP(mac net.HardwareAddr, addrs []netip.Addr) []Rule {
	arp, accept := frameType.is(0x08, 0x06), stop(expr.VerdictAccept)
	kind := arpKind.is(0, 1, 8, 0, 6, 4) // Ethernet and IPv4
	rules := []Rule{
		rule("ARP with another's MAC address", arp, arpSourceMAC.compared(expr.CmpOpNeq, mac, mac.String()), stop(expr.VerdictDrop)),
		rule("ARP probe: is the address free? (RFC 5227)", arp, kind, arpSource.isAddress(netip.IPv4Unspecified()), accept),
	}
	for _, a := range addrs {
		rules = append(rules, rule("ARP of the port's own address", arp, kind, arpSource.isAddress(a), accept))
	}
	return rules
}

func bound4(addrs []netip.Addr) []Rule {
	ip, accept := frameType.is(0x08, 0x00), stop(expr.VerdictAccept)
	var rules []Rule
	for _, a := range addrs {
		rules = append(rules, rule("the port's own address", ip, source4.isAddress(a), accept))
	}
	return append(rules, rule("a DHCP client that has no address yet (RFC 2131)",
		ip, source4.isAddress(netip.IPv4Unspecified()), protocol(unix.IPPROTO_UDP), bothPorts.is(0, 68, 0, 67), accept))
}

func discovery(kind byte) part {
	ip6, icmp, message := frameType.is(0x86, 0xdd), protocol(unix.IPPROTO_ICMPV6), icmpType.is(kind)
	return part{
		ip6.text + " " + icmp.text + " " + message.text,
		append(append(ip6.exprs, icmp.exprs...), message.exprs...),
	}
}

// boundDiscovery looks into neighbour discovery. A message has at most one option of 8
// bytes, a link-layer address or a nonce (RFC 7527), and no extension headers: others
// could hide a second address, and the kernel sends none.
func boundDiscovery(mac net.HardwareAddr, addrs []netip.Addr) []Rule {
	const oneOption = 24 + 8 // bytes
	drop, accept := stop(expr.VerdictDrop), stop(expr.VerdictAccept)
	long := length6.compared(expr.CmpOpGt, []byte{0, oneOption}, fmt.Sprint(oneOption))
	otherMAC := ndOptionMAC.compared(expr.CmpOpNeq, mac, fmt.Sprintf("0x%x", []byte(mac)))
	var rules []Rule
	for kind := byte(routerSolicitation); kind <= redirect; kind++ {
		rules = append(rules, rule("neighbour discovery behind extension headers (RFC 6980)",
			discovery(kind), nextHeader6.compared(expr.CmpOpNeq, []byte{unix.IPPROTO_ICMPV6}, fmt.Sprint(unix.IPPROTO_ICMPV6)), drop))
	}
	rules = append(rules,
		rule("neighbour solicitation with several options", discovery(neighborSolicitation), long, drop),
		rule("neighbour advertisement with several options", discovery(neighborAdvertisement), long, drop),
		rule("neighbour solicitation with another's MAC address", discovery(neighborSolicitation), ndOption.is(1, 1), otherMAC, drop),
		rule("neighbour advertisement with another's MAC address", discovery(neighborAdvertisement), ndOption.is(2, 1), otherMAC, drop))
	for _, target := range addrs {
		for _, source := range addrs {
			rules = append(rules, rule("neighbour advertisement of the port's own address",
				discovery(neighborAdvertisement), source6.isAddress(source), ndTarget.isAddress(target), accept))
		}
	}
	return append(rules, rule("neighbour advertisement of another's address", discovery(neighborAdvertisement), drop))
}

func bound6(addrs []netip.Addr) []Rule {
	accept, nobody := stop(expr.VerdictAccept), source6.isAddress(netip.IPv6Unspecified())
	var rules []Rule
	for _, a := range addrs {
		rules = append(rules,
			rule("the port's own address", frameType.is(0x86, 0xdd), source6.isAddress(a), accept),
			rule("is the port's own address free? (RFC 4862)", discovery(neighborSolicitation), nobody, ndTarget.isAddress(a), accept))
	}
	return append(rules,
		rule("a router is looked for before there is an address", discovery(routerSolicitation), nobody, accept),
		rule("groups are joined before there is an address (RFC 3590)", discovery(listenerReport), nobody, accept))
}
