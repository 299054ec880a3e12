package attack_test

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Frames are made by hand: no kernel of an attacker's own would send most of them.

var (
	everybody = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodes  = netip.MustParseAddr("ff02::1")
)

const (
	typeIP4, typeARP, typeVLAN, typeQinQ, typeIP6 = 0x0800, 0x0806, 0x8100, 0x88a8, 0x86dd
	protoICMP, protoTCP, protoUDP, protoICMP6     = 1, 6, 17, 58
)

func u16(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func u32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// ether is a frame; tags are 802.1Q tags before the type.
func ether(dst, src net.HardwareAddr, kind int, payload []byte) []byte {
	return join(dst, src, u16(kind), payload)
}

// tagged puts a VLAN tag before the frame's type.
func tagged(frame []byte, kind, vid int) []byte {
	return join(frame[:12], u16(kind), u16(vid), frame[12:])
}

func sum(parts ...[]byte) []byte {
	data := join(parts...)
	if len(data)%2 == 1 {
		data = append(data, 0)
	}
	var n uint32
	for i := 0; i < len(data); i += 2 {
		n += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return u16(int(^n & 0xffff))
}

// packet is an IP packet of the addresses' family.
func packet(src, dst netip.Addr, proto byte, payload []byte) []byte {
	if src.Is4() {
		head := join([]byte{0x45, 0}, u16(20+len(payload)), []byte{0, 1, 0, 0, 64, proto, 0, 0}, src.AsSlice(), dst.AsSlice())
		copy(head[10:], sum(head))
		return append(head, payload...)
	}
	return join([]byte{0x60, 0, 0, 0}, u16(len(payload)), []byte{proto, 255}, src.AsSlice(), dst.AsSlice(), payload)
}

// ipFrame is a frame with an IP packet.
func ipFrame(dstMAC, srcMAC net.HardwareAddr, ip []byte) []byte {
	kind := typeIP6
	if ip[0]>>4 == 4 {
		kind = typeIP4
	}
	return ether(dstMAC, srcMAC, kind, ip)
}

func pseudo(src, dst netip.Addr, proto byte, n int) []byte {
	return join(src.AsSlice(), dst.AsSlice(), u32(n), []byte{0, 0, 0, proto})
}

// datagram is a UDP packet.
func datagram(src, dst netip.AddrPort, data []byte) []byte {
	head := join(u16(int(src.Port())), u16(int(dst.Port())), u16(8+len(data)), []byte{0, 0})
	copy(head[6:], sum(pseudo(src.Addr(), dst.Addr(), protoUDP, len(head)+len(data)), head, data))
	return packet(src.Addr(), dst.Addr(), protoUDP, append(head, data...))
}

// Flags of TCP.
const tcpFIN, tcpSYN, tcpRST, tcpACK = 1, 2, 4, 16

// syn is the packet that opens a TCP connection.
func syn(src, dst netip.AddrPort) []byte { return segment(src, dst, tcpSYN, 1, nil) }

// segment is a TCP packet.
func segment(src, dst netip.AddrPort, flags byte, seq int, data []byte) []byte {
	head := join(u16(int(src.Port())), u16(int(dst.Port())), u32(seq), u32(0), []byte{0x50, flags}, u16(65535), []byte{0, 0, 0, 0})
	copy(head[16:], sum(pseudo(src.Addr(), dst.Addr(), protoTCP, len(head)+len(data)), head, data))
	return packet(src.Addr(), dst.Addr(), protoTCP, append(head, data...))
}

// icmp is an ICMP or ICMPv6 message. body follows the checksum.
func icmp(src, dst netip.Addr, kind, code byte, body []byte) []byte {
	message := join([]byte{kind, code, 0, 0}, body)
	if src.Is4() {
		copy(message[2:], sum(message))
		return packet(src, dst, protoICMP, message)
	}
	copy(message[2:], sum(pseudo(src, dst, protoICMP6, len(message)), message))
	return packet(src, dst, protoICMP6, message)
}

// ARP operations.
const arpRequest, arpReply = 1, 2

func arp(op int, fromMAC net.HardwareAddr, from netip.Addr, toMAC net.HardwareAddr, to netip.Addr) []byte {
	return join(u16(1), u16(typeIP4), []byte{6, 4}, u16(op), fromMAC, from.AsSlice(), toMAC, to.AsSlice())
}

// Messages of neighbour discovery (RFC 4861).
const routerAdvert, neighborSolicit, neighborAdvert, redirect6 = 134, 135, 136, 137

// option is a link-layer address option: 1 for the source's, 2 for the target's.
func option(kind byte, mac net.HardwareAddr) []byte { return join([]byte{kind, 1}, mac) }

// advert says that target is at the MAC address, and overrides what was known.
func advert(src, dst, target netip.Addr, mac net.HardwareAddr) []byte {
	return icmp(src, dst, neighborAdvert, 0, join([]byte{0x20, 0, 0, 0}, target.AsSlice(), option(2, mac)))
}

// routerAdvertisement offers a default route and a prefix for addresses.
func routerAdvertisement(src netip.Addr, mac net.HardwareAddr, prefix netip.Prefix) []byte {
	lifetimes := join(u32(3600), u32(3600))
	info := join([]byte{3, 4, byte(prefix.Bits()), 0xc0}, lifetimes, u32(0), prefix.Addr().AsSlice())
	body := join([]byte{64, 0}, u16(1800), u32(0), u32(0), option(1, mac), info)
	return icmp(src, allNodes, routerAdvert, 0, body)
}

// linkLocal is the address that follows from a MAC address.
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}

// groupMAC is where frames for an IPv6 group go.
func groupMAC(group netip.Addr) net.HardwareAddr {
	return append(net.HardwareAddr{0x33, 0x33}, group.AsSlice()[12:]...)
}
