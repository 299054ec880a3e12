package nft

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Payload is a place in a frame, named as nft(8) names it.
type Payload struct {
	text   string
	base   expr.PayloadBase
	offset uint32 // bytes
	length uint32 // bytes
}

// Fields of struct ethhdr, arphdr (with Ethernet and IPv4 addresses), iphdr, ipv6hdr,
// udphdr, icmphdr, and of neighbour discovery messages (RFC 4861, section 4).
var (
	EtherDaddr    = Payload{"ether daddr", expr.PayloadBaseLLHeader, 0, 6}
	EtherSaddr    = Payload{"ether saddr", expr.PayloadBaseLLHeader, 6, 6}
	EtherType     = Payload{"ether type", expr.PayloadBaseLLHeader, 12, 2}
	ARPKind       = Payload{"@nh,0,48", expr.PayloadBaseNetworkHeader, 0, 6}
	ARPSaddrEther = Payload{"arp saddr ether", expr.PayloadBaseNetworkHeader, 8, 6}
	ARPSaddrIP    = Payload{"arp saddr ip", expr.PayloadBaseNetworkHeader, 14, 4}
	IPSaddr       = Payload{"ip saddr", expr.PayloadBaseNetworkHeader, 12, 4}
	IP6Length     = Payload{"ip6 length", expr.PayloadBaseNetworkHeader, 4, 2}
	IP6Hoplimit   = Payload{"ip6 hoplimit", expr.PayloadBaseNetworkHeader, 7, 1}
	IP6Nexthdr    = Payload{"ip6 nexthdr", expr.PayloadBaseNetworkHeader, 6, 1}
	IP6Saddr      = Payload{"ip6 saddr", expr.PayloadBaseNetworkHeader, 8, 16}
	BothPorts     = Payload{"@th,0,32", expr.PayloadBaseTransportHeader, 0, 4}
	ICMPType      = Payload{"@th,0,8", expr.PayloadBaseTransportHeader, 0, 1}
	NDTarget      = Payload{"@th,64,128", expr.PayloadBaseTransportHeader, 8, 16}
	NDOption      = Payload{"@th,192,16", expr.PayloadBaseTransportHeader, 24, 2}
	NDOptionMAC   = Payload{"@th,208,48", expr.PayloadBaseTransportHeader, 26, 6}
)

func (f Payload) load(register uint32) *expr.Payload {
	return &expr.Payload{DestRegister: register, Base: f.base, Offset: f.offset, Len: f.length}
}

func (f Payload) compared(value []byte, text string) Part {
	return Part{f.text, text, []expr.Any{f.load(reg1), equals(value)}}
}

// Is: ether type 0x0806
func (f Payload) Is(value ...byte) Part { return f.compared(value, fmt.Sprintf("0x%x", value)) }

// IsAddress: ip saddr 10.88.0.2. nft knows no address in a raw field.
func (f Payload) IsAddress(a netip.Addr) Part {
	if f.text[0] == '@' {
		return f.Is(a.AsSlice()...)
	}
	return f.compared(a.AsSlice(), a.String())
}

// IsMAC: ether saddr 0a:58:0a:58:00:02
func (f Payload) IsMAC(mac net.HardwareAddr) Part { return f.compared(mac, mac.String()) }

// IsNumber: ip6 nexthdr 58
func (f Payload) IsNumber(n uint16) Part {
	return f.compared(binary.BigEndian.AppendUint16(nil, n)[2-f.length:], fmt.Sprint(n))
}

// Above: ip6 length > 32
func (f Payload) Above(n uint16) Part {
	p := f.IsNumber(n)
	p.last().Op = expr.CmpOpGt
	return p
}

// Within: ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00
func (f Payload) Within(mask, value net.HardwareAddr) Part {
	return Part{fmt.Sprintf("%s & %s ==", f.text, mask), value.String(), []expr.Any{f.load(reg1), masked(mask), equals(value)}}
}

// Bits of ct state (NF_CT_STATE_BIT) and of ct status (linux/netfilter/nf_conntrack_common.h).
const (
	ctInvalid     = 1 << 0
	ctEstablished = 1 << 1
	ctRelated     = 1 << 2
	ctNew         = 1 << 3
	ctSnat        = 1 << 4 // IPS_SRC_NAT
	ctDnat        = 1 << 5 // IPS_DST_NAT
)

func ct(key expr.CtKey) *expr.Ct { return &expr.Ct{Key: key, Register: reg1} }

// Forwarded: ct status dnat
func Forwarded() Part { return statement("ct status dnat", anyOf(ctDnat, ct(expr.CtKeySTATUS))...) }

// ReplyToSnat: ct direction reply ct status snat
func ReplyToSnat() Part {
	direction := []expr.Any{ct(expr.CtKeyDIRECTION), equals([]byte{1})}
	return statement("ct direction reply ct status snat", append(direction, anyOf(ctSnat, ct(expr.CtKeySTATUS))...)...)
}

// NotEstablished: ct state & (established|related) == 0
func NotEstablished() Part {
	return statement("ct state & (established|related) == 0",
		ct(expr.CtKeySTATE), masked(native(ctEstablished|ctRelated)), equals(make([]byte, 4)))
}

// IsInvalid: ct state invalid
func IsInvalid() Part { return statement("ct state invalid", anyOf(ctInvalid, ct(expr.CtKeySTATE))...) }

// IsNew: ct state new
func IsNew() Part { return statement("ct state new", anyOf(ctNew, ct(expr.CtKeySTATE))...) }

// CountOver counts connections by their source, in a set of class ClassFlow:
// add @set { ip saddr ct count over 1000 }
func CountOver(set string, connections uint32) Part {
	const add = 0 // NFT_DYNSET_OP_ADD
	is4 := setOf(set).is4()
	text := fmt.Sprintf("add @%s { %s saddr ct count over %d }", set, ipName(is4), connections)
	return Part{left: text, exprs: append(isFamily(is4), address(is4, false), &expr.Dynset{
		SrcRegKey: reg1, SetName: set, Operation: add,
		Exprs: []expr.Any{&expr.Connlimit{Count: connections, Flags: expr.NFT_CONNLIMIT_F_INV}},
	})}
}

// NoteDaddr notes the destination in a set of class ClassAsked: add @set { ip daddr }
func NoteDaddr(set string) Part {
	is4 := setOf(set).is4()
	return Part{left: fmt.Sprintf("add @%s { %s daddr }", set, ipName(is4)), exprs: append(isFamily(is4), address(is4, true),
		&expr.Dynset{SrcRegKey: reg1, SetName: set, Operation: 0})} // NFT_DYNSET_OP_ADD
}

// AskedAt matches where the client's first packet went, before any translation: ct original ip daddr @set
// A connection of the other family does not match (nft_ct_get_eval).
func AskedAt(set string) Part {
	is4 := setOf(set).is4()
	key := expr.CtKeyDSTIP6
	if is4 {
		key = expr.CtKeyDSTIP
	}
	return statement(fmt.Sprintf("ct original %s daddr @%s", ipName(is4), set),
		&expr.Ct{Key: expr.CtKey(key), Register: reg1, OptDirection: true}, &expr.Lookup{SourceRegister: reg1, SetName: set})
}

// DupToLoopback hands packets for ::1 with the mark to lo, in family netdev. The zeroed
// address makes lo take the frame as its own (eth_type_trans).
func DupToLoopback(mark uint32) Part {
	const lo = 1 // its index in every namespace (LOOPBACK_IFINDEX)
	exprs := anyOf(mark, meta(expr.MetaKeyMARK))
	return Part{left: fmt.Sprintf(`meta mark and 0x%08x != 0 ip6 daddr ::1 @ll,0,48 set 0 dup to "lo" drop`, mark), exprs: append(exprs,
		meta(expr.MetaKeyPROTOCOL), equals(binary.BigEndian.AppendUint16(nil, unix.ETH_P_IPV6)),
		address(false, true), equals(netip.IPv6Loopback().AsSlice()),
		&expr.Immediate{Register: reg1, Data: make([]byte, 6)},
		&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: reg1, Base: expr.PayloadBaseLLHeader, Len: 6},
		&expr.Immediate{Register: reg1, Data: native(lo)},
		&expr.Dup{RegDev: reg1, IsRegDevSet: true},
		&expr.Verdict{Kind: expr.VerdictDrop},
	)}
}
