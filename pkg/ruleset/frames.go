package ruleset

import (
	"net"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"golang.org/x/sys/unix"
)

// The table of family bridge filters a container's frames before the bridge forwards them.

// ContainerGroup is the link group (IFLA_GROUP) of ports whose control frames are dropped. Setting
// the group costs nothing, and it goes with the port. The number reads "bp".
const ContainerGroup = 0x6270

// lastFrames is the name of the only chain of Frames.
const lastFrames = "control"

// Frames is the block of family bridge.
func Frames() nft.Block {
	return nft.Block{Place: nft.InFrames, Last: lastFrames, Chains: func() []nft.Chain { return []nft.Chain{controlChain()} }}
}

func first() *nft.Hook { return &nft.Hook{Type: "filter", Name: "prerouting", Priority: -300} }

// SpoofedChain checks what ports with a spoof check send. It is made with the first such port: each
// frame of all ports meets the chain, which costs a stream 1 to 2 % of its rate.
func SpoofedChain() nft.Chain {
	return nft.Chain{Name: "spoofed", Family: nft.Bridge, Hook: first(), Rules: []nft.Rule{
		nft.NewRule("frames from a guarded port with another's MAC address", nft.IifnameIn(nft.MarkGuarded), nft.SourceNotIn("macs"), nft.Drop()),
		nft.NewRule("ports that send from addresses of their own only", nft.IifnameVmap("bound")),
	}}
}

// controlChain drops frames that only switches, routers and DHCP servers send. A container that sends
// such a frame wants to change how its neighbours or the host's network work.
func controlChain() nft.Chain {
	drop := func(comment string, parts ...nft.Part) nft.Rule {
		return nft.NewRule(comment, nft.Iifgroup(ContainerGroup), nft.All(parts...), nft.Drop())
	}
	const (
		redirect4, routerAdvertisement = 5, 134
		vlan, vlanOutside              = 0x00, 0xa8 // second bytes of 0x8100 and 0x88a8
	)
	// The most frequent frames pass first: TCP between two containers is 4 % faster for it.
	pass := func(family string, kind ...byte) nft.Rule {
		return nft.NewRule("none of these: TCP over "+family+", untagged, to a single station",
			nft.L4proto(unix.IPPROTO_TCP), nft.EtherType.Is(kind...),
			nft.EtherDaddr.Within(net.HardwareAddr{1, 0, 0, 0, 0, 0}, net.HardwareAddr{0, 0, 0, 0, 0, 0}), nft.Accept())
	}
	icmp6, udp := nft.L4proto(unix.IPPROTO_ICMPV6), nft.L4proto(unix.IPPROTO_UDP)
	return nft.Chain{Name: lastFrames, Family: nft.Bridge, Hook: first(), Rules: []nft.Rule{
		pass("IPv4", 0x08, 0x00),
		pass("IPv6", 0x86, 0xdd),
		drop("frames that switches send to each other: spanning tree, LACP, LLDP (IEEE 802.1Q, 8.6.3)",
			nft.EtherDaddr.Within(net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xf0}, net.HardwareAddr{1, 0x80, 0xc2, 0, 0, 0})),
		drop("the same of Cisco switches: PVST+, CDP",
			nft.EtherDaddr.Within(net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, net.HardwareAddr{1, 0, 0x0c, 0xcc, 0xcc, 0xcc})),
		drop("VLAN tags: a container is in one VLAN, or in none", nft.EtherType.Is(0x81, vlan)),
		drop("VLAN tags: a container is in one VLAN, or in none", nft.EtherType.Is(0x88, vlanOutside)),
		drop("router advertisements", icmp6, nft.ICMPType.Is(routerAdvertisement)),
		drop("redirects, IPv6", icmp6, nft.ICMPType.Is(redirect)),
		drop("redirects, IPv4", nft.L4proto(unix.IPPROTO_ICMP), nft.ICMPType.Is(redirect4)),
		drop("answers of DHCP servers", udp, nft.BothPorts.Is(0, 67, 0, 68)),
		drop("answers of DHCPv6 servers", udp, nft.BothPorts.Is(547>>8, 547&0xff, 546>>8, 546&0xff)),
	}}
}

// Messages of neighbour discovery and of multicast listeners (RFC 4861, RFC 3810).
const (
	routerSolicitation    = 133
	neighborSolicitation  = 135
	neighborAdvertisement = 136
	redirect              = 137
	listenerReport        = 143
)

// BoundChain accepts what a port sends from its own addresses, and what a container must send before
// it has an address. It drops everything else, unknown protocols, too: they may hide an address. The
// chain has the port's name, is of this port alone, and goes with its element.
func BoundChain(linkName string, mac net.HardwareAddr, addrs []netip.Addr) nft.Chain {
	v4 := slices.DeleteFunc(slices.Clone(addrs), netip.Addr.Is6)
	v6 := slices.DeleteFunc(slices.Clone(addrs), netip.Addr.Is4)
	last := nft.NewRule("an address that is not this port's, or neither ARP nor IP", nft.Drop())
	c := nft.Named(nft.BoundChains+linkName, slices.Concat(
		boundARP(mac, v4), bound4(v4), boundDiscovery(mac, v6), bound6(v6), []nft.Rule{last}))
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
