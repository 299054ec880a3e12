package nft

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables/expr"
)

// field is a place in a frame.
type field struct {
	text   string
	base   expr.PayloadBase
	offset uint32 // bytes
	length uint32 // bytes
}

// Fields of struct ethhdr, arphdr (with Ethernet and IPv4 addresses), iphdr, ipv6hdr,
// udphdr, icmphdr, and of neighbour discovery messages (RFC 4861, section 4).
var (
	destinationMAC = field{"ether daddr", expr.PayloadBaseLLHeader, 0, 6}
	sourceMAC      = field{"ether saddr", expr.PayloadBaseLLHeader, 6, 6}
	frameType      = field{"ether type", expr.PayloadBaseLLHeader, 12, 2}
	arpKind        = field{"@nh,0,48", expr.PayloadBaseNetworkHeader, 0, 6}
	arpSourceMAC   = field{"arp saddr ether", expr.PayloadBaseNetworkHeader, 8, 6}
	arpSource      = field{"arp saddr ip", expr.PayloadBaseNetworkHeader, 14, 4}
	source4        = field{"ip saddr", expr.PayloadBaseNetworkHeader, 12, 4}
	length6        = field{"ip6 length", expr.PayloadBaseNetworkHeader, 4, 2}
	nextHeader6    = field{"ip6 nexthdr", expr.PayloadBaseNetworkHeader, 6, 1}
	source6        = field{"ip6 saddr", expr.PayloadBaseNetworkHeader, 8, 16}
	bothPorts      = field{"@th,0,32", expr.PayloadBaseTransportHeader, 0, 4}
	icmpType       = field{"@th,0,8", expr.PayloadBaseTransportHeader, 0, 1}
	ndTarget       = field{"@th,64,128", expr.PayloadBaseTransportHeader, 8, 16}
	ndOption       = field{"@th,192,16", expr.PayloadBaseTransportHeader, 24, 2}
	ndOptionMAC    = field{"@th,208,48", expr.PayloadBaseTransportHeader, 26, 6}
)

func (f field) load(register uint32) *expr.Payload {
	return &expr.Payload{DestRegister: register, Base: f.base, Offset: f.offset, Len: f.length}
}

func (f field) compared(op expr.CmpOp, value []byte, text string) part {
	sign := map[expr.CmpOp]string{expr.CmpOpNeq: "!= ", expr.CmpOpGt: "> ", expr.CmpOpGte: ">= ", expr.CmpOpLte: "<= "}[op]
	return part{fmt.Sprintf("%s %s%s", f.text, sign, text), []expr.Any{
		f.load(reg1),
		&expr.Cmp{Op: op, Register: reg1, Data: value},
	}}
}

// is: ether type 0x0806
func (f field) is(value ...byte) part {
	return f.compared(expr.CmpOpEq, value, fmt.Sprintf("0x%x", value))
}

// isAddress: ip saddr 10.88.0.2. nft knows no address in a raw field.
func (f field) isAddress(a netip.Addr) part {
	if f.text[0] == '@' {
		return f.is(a.AsSlice()...)
	}
	return f.compared(expr.CmpOpEq, a.AsSlice(), a.String())
}

// within: ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00
func (f field) within(mask, value net.HardwareAddr) part {
	return part{fmt.Sprintf("%s & %s == %s", f.text, mask, value), []expr.Any{
		f.load(reg1),
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: f.length, Mask: mask, Xor: make([]byte, f.length)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: value},
	}}
}

// protocol: meta l4proto 58, whatever extension headers stand before it
func protocol(number byte) part {
	return part{fmt.Sprintf("meta l4proto %d", number), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{number}},
	}}
}
