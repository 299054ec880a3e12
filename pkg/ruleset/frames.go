package ruleset

import (
	"net"

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
	// The most frequent frames pass before the other rules: a stream of TCP between two containers is
	// 4 % faster for it.
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
