package nft

import (
	"fmt"
	"net"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// controlChain drops what only switches, routers and DHCP servers send. A container
// that sends it wants to change how its neighbours or the host's network work.
func controlChain(first *hook) Chain {
	drop := func(comment string, parts ...part) Rule {
		return rule(comment, append(append([]part{fromContainer()}, parts...), stop(expr.VerdictDrop))...)
	}
	const (
		redirect4, routerAdvertisement = 5, 134
		vlan, vlanOutside              = 0x00, 0xa8 // second bytes of 0x8100 and 0x88a8
	)
	// What a container sends most goes past the other rules: a stream of TCP between two
	// containers is 4 % faster for it.
	pass := func(family string, kind ...byte) Rule {
		return rule("none of these: TCP over "+family+", untagged, to a single station",
			protocol(unix.IPPROTO_TCP), frameType.is(kind...),
			destinationMAC.within(net.HardwareAddr{1, 0, 0, 0, 0, 0}, net.HardwareAddr{0, 0, 0, 0, 0, 0}), stop(expr.VerdictAccept))
	}
	return Chain{Name: lastLink, Link: true, Hook: first, Rules: []Rule{
		pass("IPv4", 0x08, 0x00),
		pass("IPv6", 0x86, 0xdd),
		drop("frames that switches send to each other: spanning tree, LACP, LLDP (IEEE 802.1Q, 8.6.3)",
			destinationMAC.within(net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xf0}, net.HardwareAddr{1, 0x80, 0xc2, 0, 0, 0})),
		drop("the same of Cisco switches: PVST+, CDP",
			destinationMAC.within(net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, net.HardwareAddr{1, 0, 0x0c, 0xcc, 0xcc, 0xcc})),
		drop("VLAN tags: a container is in one VLAN, or in none", frameType.is(0x81, vlan)),
		drop("VLAN tags: a container is in one VLAN, or in none", frameType.is(0x88, vlanOutside)),
		drop("router advertisements", protocol(unix.IPPROTO_ICMPV6), icmpType.is(routerAdvertisement)),
		drop("redirects, IPv6", protocol(unix.IPPROTO_ICMPV6), icmpType.is(redirect)),
		drop("redirects, IPv4", protocol(unix.IPPROTO_ICMP), icmpType.is(redirect4)),
		drop("answers of DHCP servers", protocol(unix.IPPROTO_UDP), bothPorts.is(0, 67, 0, 68)),
		drop("answers of DHCPv6 servers", protocol(unix.IPPROTO_UDP), bothPorts.is(547>>8, 547&0xff, 546>>8, 546&0xff)),
	}}
}

// fromContainer: iifgroup 25200
func fromContainer() part {
	return part{fmt.Sprintf("iifgroup %d", ContainerGroup), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFGROUP, Register: reg1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: native(ContainerGroup)},
	}}
}
