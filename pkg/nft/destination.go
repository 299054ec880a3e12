package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Parts that look at where a packet goes, in tables of family inet and of family bridge.

// OfFamily matches IPv4 or IPv6 in a table of family f: meta nfproto ipv4, meta protocol ip
func OfFamily(f Family, is4 bool) Part {
	name, kind := "ipv6", uint16(unix.ETH_P_IPV6)
	if is4 {
		name, kind = "ipv4", unix.ETH_P_IP
	}
	if f != Bridge {
		return statement("meta nfproto "+name, isFamily(is4)...)
	}
	return statement("meta protocol "+ipName(is4), meta(expr.MetaKeyPROTOCOL), equals(binary.BigEndian.AppendUint16(nil, kind)))
}

// DaddrAmong matches destinations, all of one family, in a table of family f:
// ip daddr { 10.0.0.0/8, 192.0.2.1 }
func DaddrAmong(f Family, list []netip.Prefix) Part { return addressAmong(f, true, " daddr ", list) }

// SaddrAmong matches sources: ip6 saddr fe80::/10
func SaddrAmong(f Family, list []netip.Prefix) Part { return addressAmong(f, false, " saddr ", list) }

func addressAmong(f Family, dst bool, field string, list []netip.Prefix) Part {
	is4 := list[0].Addr().Is4()
	var spans []span
	for _, p := range list {
		spans = append(spans, spanOf(p))
	}
	family := OfFamily(f, is4).exprs
	if spans = merged(spans); len(spans) == 1 {
		switch p, is := spans[0].prefix(); {
		case is && p.Bits() == 0:
			return OfFamily(f, is4)
		case is: // nft(8) loads a prefix as a mask
			part := inPrefix(p, dst, field)
			return statement(ipName(is4)+field+part.right, append(family, part.exprs[len(isFamily(is4)):]...)...)
		}
	}
	text, exprs := among(address(is4, dst), spans)
	return statement(ipName(is4)+field+text, append(family, exprs...)...)
}

// DaddrNamed matches destinations that are in a set of names: ip daddr @names-web4
func DaddrNamed(word string, is4 bool) Part {
	set := NamesSet(word, is4)
	return statement(ipName(is4)+" daddr @"+set, append(isFamily(is4), address(is4, true), &expr.Lookup{SourceRegister: reg1, SetName: set})...)
}

// PortRange is ports from the first to the last, both included.
type PortRange struct{ First, Last uint16 }

// span is the ports as the kernel compares them.
func (p PortRange) span() span {
	return span{binary.BigEndian.AppendUint16(nil, p.First), binary.BigEndian.AppendUint16(nil, p.Last)}
}

// String is the port, or first and last.
func (p PortRange) String() string { return p.span().String() }

// DportAmong matches a protocol and, unless ports is empty, its destination ports:
// tcp dport { 443, 8000-8999 }
func DportAmong(protocol uint8, ports []PortRange) Part {
	if len(ports) == 0 {
		return L4proto(protocol)
	}
	var spans []span
	for _, p := range ports {
		spans = append(spans, p.span())
	}
	text, exprs := among(&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, spans)
	return statement(hostport.ProtocolName(protocol)+" dport "+text, append(L4proto(protocol).exprs, exprs...)...)
}

// TCPFlags matches segments that have one of the flags: @th,104,8 & 0x14 != 0x0
func TCPFlags(flags byte) Part {
	return statement(fmt.Sprintf("meta l4proto tcp @th,104,8 & 0x%x != 0x0", flags), append(L4proto(unix.IPPROTO_TCP).exprs,
		&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		masked([]byte{flags}), &expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: []byte{0}})...)
}

// Flags of a TCP segment (RFC 9293, section 3.1).
const (
	FlagRST = 0x04
	FlagACK = 0x10
)

// HearUDP notes UDP in a set of class ClassHeard, as its answer will look, in family bridge:
// update @heard4 { ip daddr . ip saddr . udp dport . udp sport }
func HearUDP(is4 bool) Part {
	set, ip := nameOf(ClassHeard, is4), ipName(is4)
	return statement(fmt.Sprintf("update @%s { %s daddr . %s saddr . udp dport . udp sport }", set, ip, ip), append(udpKey(is4, true),
		&expr.Dynset{SrcRegKey: reg1, SetName: set, Operation: 1})...) // NFT_DYNSET_OP_UPDATE
}

// AnswersUDP matches answers to UDP that was heard: ip saddr . ip daddr . udp sport . udp dport @heard4
func AnswersUDP(is4 bool) Part {
	set, ip := nameOf(ClassHeard, is4), ipName(is4)
	return statement(fmt.Sprintf("%s saddr . %s daddr . udp sport . udp dport @%s", ip, ip, set), append(udpKey(is4, false),
		&expr.Lookup{SourceRegister: reg1, SetName: set})...)
}

// udpKey loads two addresses and two ports from register 1 on. turned loads the destination first.
func udpKey(is4, turned bool) []expr.Any {
	registers := []uint32{reg9, reg10, reg11}
	if !is4 {
		registers = []uint32{reg12, reg16, reg17}
	}
	first, second := address(is4, turned), address(is4, !turned)
	second.DestRegister = registers[0]
	port := func(offset, register uint32) *expr.Payload {
		return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2}
	}
	own, other := uint32(0), uint32(2) // bytes from the header's begin: the source's, the destination's
	if turned {
		own, other = other, own
	}
	exprs := append(OfFamily(Bridge, is4).exprs, L4proto(unix.IPPROTO_UDP).exprs...)
	return append(exprs, first, second, port(own, registers[1]), port(other, registers[2]))
}

// Oifname matches the link by which a packet goes out: oifname "eth0"
func Oifname(name string) Part {
	return metaIs(expr.MetaKeyOIFNAME, "oifname", fmt.Sprintf("%q", name), IfName(name))
}

// OifnameIn: oifname @set
func OifnameIn(set string) Part {
	return statement("oifname @"+set, meta(expr.MetaKeyOIFNAME), &expr.Lookup{SourceRegister: reg1, SetName: set})
}

// Keys of meta that the library does not name (linux/netfilter/nf_tables.h).
const (
	MetaKeyIIFKIND expr.MetaKey = 26
	MetaKeyOIFKIND expr.MetaKey = 27
)

// Iifkind matches what kind of link a packet came in by: iifkind "bridge"
func Iifkind(kind string) Part {
	return metaIs(MetaKeyIIFKIND, "iifkind", fmt.Sprintf("%q", kind), IfName(kind))
}

// Oifkind matches what kind of link a packet goes out by: oifkind "bridge"
func Oifkind(kind string) Part {
	return metaIs(MetaKeyOIFKIND, "oifkind", fmt.Sprintf("%q", kind), IfName(kind))
}

// Answer matches packets to who has opened the connection, not errors about it, which may be of somebody
// else's: ct state established ct direction reply
func Answer() Part {
	return statement("ct state established ct direction reply",
		append(anyOf(ctEstablished, ct(expr.CtKeySTATE)), ct(expr.CtKeyDIRECTION), equals([]byte{1}))...)
}

// DaddrNotUnicast matches the host's own addresses, broadcast and multicast: fib daddr type != unicast
func DaddrNotUnicast() Part {
	return Part{"fib daddr type", "unicast", []expr.Any{
		&expr.Fib{Register: reg1, FlagDADDR: true, ResultADDRTYPE: true}, equals(native(unix.RTN_UNICAST)),
	}}.Not()
}

// SendingVmap goes where a map says of the link by which a packet came in and its source:
// iifname . ip saddr vmap @set
func SendingVmap(set string) Part {
	is4 := setOf(set).is4()
	source := address(is4, false)
	source.DestRegister = reg12
	return statement("iifname . "+ipName(is4)+" saddr vmap @"+set, append(isFamily(is4), meta(expr.MetaKeyIIFNAME), source, verdictOf(set))...)
}

// RefreshNamed lets a destination stay that DaddrNamed has matched before in the rule: its time begins anew.
func RefreshNamed(word string, is4 bool) Part {
	set := NamesSet(word, is4)
	return statement(fmt.Sprintf("update @%s { %s daddr }", set, ipName(is4)),
		address(is4, true), &expr.Dynset{SrcRegKey: reg1, SetName: set, Operation: 1}) // NFT_DYNSET_OP_UPDATE
}

// ResetTCP answers a segment by a reset: meta l4proto tcp reject with tcp reset
func ResetTCP() Part {
	return statement("meta l4proto tcp reject with tcp reset", append(L4proto(unix.IPPROTO_TCP).exprs, &expr.Reject{Type: unix.NFT_REJECT_TCP_RST})...)
}

// Counter counts packets and bytes.
func Counter() Part { return statement("counter", &expr.Counter{}) }

// Reject tells the sender that the packet is not wanted: reject with icmpx admin-prohibited
func Reject() Part {
	return statement("reject with icmpx admin-prohibited",
		&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED})
}
