package ruleset

import (
	"net"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
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

// BoundChain accepts what a port sends from its own addresses, and what a container must send before
// it has an address. It drops everything else, unknown protocols, too: they may have an address in a
// place that the rules don't look at. The chain has the port's name, is of this port alone, and goes
// with its element.
func BoundChain(linkName string, mac net.HardwareAddr, addrs []netip.Addr) nft.Chain {
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
	c := nft.Named(nft.BoundChains+linkName, append(rules,
		nft.NewRule("an address that is not this port's, or neither ARP nor IP", nft.Drop())))
	c.Family = nft.Bridge
	return c
}

func boundARP(mac net.HardwareAddr, addrs []netip.Addr) []nft.Rule {
	arp, accept := nft.EtherType.Is(0x08, 0x06), nft.Accept()
	kind := nft.ARPKind.Is(0, 1, 8, 0, 6, 4) // Ethernet and IPv4
	rules := []nft.Rule{
		nft.NewRule("ARP with another's MAC address", arp, nft.ARPSaddrEther.IsMAC(mac).Not(), nft.Drop()),
		nft.NewRule("ARP probe: is the address free? (RFC 5227)", arp, kind, nft.ARPSaddrIP.IsAddress(netip.IPv4Unspecified()), accept),
	}
	for _, a := range addrs {
		rules = append(rules, nft.NewRule("ARP of the port's own address", arp, kind, nft.ARPSaddrIP.IsAddress(a), accept))
	}
	return rules
}

func bound4(addrs []netip.Addr) []nft.Rule {
	ip, accept := nft.EtherType.Is(0x08, 0x00), nft.Accept()
	var rules []nft.Rule
	for _, a := range addrs {
		rules = append(rules, nft.NewRule("the port's own address", ip, nft.IPSaddr.IsAddress(a), accept))
	}
	return append(rules, nft.NewRule("a DHCP client that has no address yet (RFC 2131)",
		ip, nft.IPSaddr.IsAddress(netip.IPv4Unspecified()), nft.L4proto(unix.IPPROTO_UDP), nft.BothPorts.Is(0, 68, 0, 67), accept))
}

func discovery(kind byte) nft.Part {
	return nft.All(nft.EtherType.Is(0x86, 0xdd), nft.L4proto(unix.IPPROTO_ICMPV6), nft.ICMPType.Is(kind))
}

// boundDiscovery looks into neighbour discovery. A message has at most one option of 8
// bytes, a link-layer address or a nonce (RFC 7527), and no extension headers: others
// could hide a second address, and the kernel sends none.
func boundDiscovery(mac net.HardwareAddr, addrs []netip.Addr) []nft.Rule {
	const oneOption = 24 + 8 // bytes
	drop, accept := nft.Drop(), nft.Accept()
	long := nft.IP6Length.Above(oneOption)
	otherMAC := nft.NDOptionMAC.Is(mac...).Not()
	var rules []nft.Rule
	for kind := byte(routerSolicitation); kind <= redirect; kind++ {
		rules = append(rules, nft.NewRule("neighbour discovery behind extension headers (RFC 6980)",
			discovery(kind), nft.IP6Nexthdr.IsNumber(unix.IPPROTO_ICMPV6).Not(), drop))
	}
	rules = append(rules,
		nft.NewRule("neighbour solicitation with several options", discovery(neighborSolicitation), long, drop),
		nft.NewRule("neighbour advertisement with several options", discovery(neighborAdvertisement), long, drop),
		nft.NewRule("neighbour solicitation with another's MAC address", discovery(neighborSolicitation), nft.NDOption.Is(1, 1), otherMAC, drop),
		nft.NewRule("neighbour advertisement with another's MAC address", discovery(neighborAdvertisement), nft.NDOption.Is(2, 1), otherMAC, drop))
	for _, target := range addrs {
		for _, source := range addrs {
			rules = append(rules, nft.NewRule("neighbour advertisement of the port's own address",
				discovery(neighborAdvertisement), nft.IP6Saddr.IsAddress(source), nft.NDTarget.IsAddress(target), accept))
		}
	}
	return append(rules, nft.NewRule("neighbour advertisement of another's address", discovery(neighborAdvertisement), drop))
}

func bound6(addrs []netip.Addr) []nft.Rule {
	accept, nobody := nft.Accept(), nft.IP6Saddr.IsAddress(netip.IPv6Unspecified())
	var rules []nft.Rule
	for _, a := range addrs {
		rules = append(rules,
			nft.NewRule("the port's own address", nft.EtherType.Is(0x86, 0xdd), nft.IP6Saddr.IsAddress(a), accept),
			nft.NewRule("is the port's own address free? (RFC 4862)", discovery(neighborSolicitation), nobody, nft.NDTarget.IsAddress(a), accept))
	}
	return append(rules,
		nft.NewRule("a router is looked for before there is an address", discovery(routerSolicitation), nobody, accept),
		nft.NewRule("groups are joined before there is an address (RFC 3590)", discovery(listenerReport), nobody, accept))
}
