package nft

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Rule is one rule, as text for people and as expressions for the kernel.
type Rule struct {
	Text    string // as nft(8) prints it
	Comment string
	exprs   []expr.Any
}

// NewRule is a rule of parts, which end in a verdict or a statement. The comment is for
// people, and cut at CommentLimit.
//
//	nft.NewRule("no spoofed loopback", nft.NotLoopback(), nft.Saddr(loopback), nft.Drop())
func NewRule(comment string, parts ...Part) Rule {
	p := All(parts...)
	return Rule{Text: p.String(), Comment: comment[:min(len(comment), CommentLimit)], exprs: p.exprs}
}

// Part is a piece of a rule: a match, a statement or a verdict, named as nft(8) says it.
type Part struct {
	left, right string // of a comparison; right is "" in other parts
	exprs       []expr.Any
}

// String is the part as nft(8) says it.
func (p Part) String() string {
	if p.right == "" {
		return p.left
	}
	sign := map[expr.CmpOp]string{expr.CmpOpNeq: "!= ", expr.CmpOpGt: "> "}[p.last().Op]
	return p.left + " " + sign + p.right
}

// last is what a comparison ends in.
func (p Part) last() *expr.Cmp { return p.exprs[len(p.exprs)-1].(*expr.Cmp) }

// Not is the opposite of a comparison with one value.
func (p Part) Not() Part {
	cmp := *p.last()
	cmp.Op = expr.CmpOpNeq
	p.exprs = append(slices.Clone(p.exprs[:len(p.exprs)-1]), &cmp)
	return p
}

// All is several parts as one; it is no comparison.
func All(parts ...Part) (all Part) {
	var texts []string
	for _, p := range parts {
		texts = append(texts, p.String())
		all.exprs = append(all.exprs, p.exprs...)
	}
	all.left = strings.Join(texts, " ")
	return all
}

// Registers of nf_tables: 1 is 16 bytes wide and the same as 8 to 11, which are 4
// bytes each (linux/netfilter/nf_tables.h). A concatenation fills consecutive ones.
const (
	reg1  = 1
	reg9  = 9
	reg10 = 10
	reg11 = 11
	reg12 = 2 // 12 to 15 are also called 2
	reg13 = 13
	reg16 = 3 // 16 to 19 are also called 3
	reg17 = 17
)

func equals(data []byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: data} }

func meta(key expr.MetaKey) *expr.Meta { return &expr.Meta{Key: key, Register: reg1} }

// metaIs is a comparison of what is known of a packet.
func metaIs(key expr.MetaKey, left, right string, value []byte) Part {
	return Part{left, right, []expr.Any{meta(key), equals(value)}}
}

// masked keeps the bits of mask in register 1.
func masked(mask []byte) *expr.Bitwise {
	return &expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask))}
}

func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// anyOf matches where the bits that load has put into register 1 have one of mask.
func anyOf(mask uint32, load expr.Any) []expr.Any {
	return []expr.Any{load, masked(native(mask)), &expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: make([]byte, 4)}}
}

// isFamily matches IPv4 or IPv6. In family inet it must stand before each look at an address.
func isFamily(is4 bool) []expr.Any {
	proto := byte(unix.NFPROTO_IPV6)
	if is4 {
		proto = unix.NFPROTO_IPV4
	}
	return []expr.Any{meta(expr.MetaKeyNFPROTO), equals([]byte{proto})}
}

func ipName(is4 bool) string {
	if is4 {
		return "ip"
	}
	return "ip6"
}

// address loads the source or destination address into register 1.
func address(is4, dst bool) *expr.Payload {
	offset, length := uint32(8), uint32(16) // struct ipv6hdr
	if is4 {
		offset, length = 12, 4 // struct iphdr
	}
	if dst { // which follows the source
		offset += length
	}
	return &expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length}
}

// Daddr matches the destination address: ip daddr 10.1.0.0/16
func Daddr(p netip.Prefix) Part { return inPrefix(p, true, " daddr") }

// Saddr matches the source address: ip saddr 10.1.0.0/16
func Saddr(p netip.Prefix) Part { return inPrefix(p, false, " saddr") }

func inPrefix(p netip.Prefix, dst bool, field string) Part {
	is4 := p.Addr().Is4()
	exprs := append(isFamily(is4), address(is4, dst))
	if p.Bits() < p.Addr().BitLen() {
		exprs = append(exprs, masked(net.CIDRMask(p.Bits(), p.Addr().BitLen())))
	}
	return Part{ipName(is4) + field, PrefixText(p), append(exprs, equals(p.Masked().Addr().AsSlice()))}
}

// DaddrIn matches the destination address: ip daddr @set
func DaddrIn(set string) Part {
	is4 := setOf(set).is4()
	exprs := append(isFamily(is4), address(is4, true), &expr.Lookup{SourceRegister: reg1, SetName: set})
	return Part{left: ipName(is4) + " daddr @" + set, exprs: exprs}
}

// DaddrVmap goes where a map says: ip daddr vmap @set
func DaddrVmap(set string) Part { return addrVmap(set, true, " daddr") }

// SaddrVmap goes where a map says: ip saddr vmap @set
func SaddrVmap(set string) Part { return addrVmap(set, false, " saddr") }

func addrVmap(set string, dst bool, field string) Part {
	is4 := setOf(set).is4()
	return Part{left: ipName(is4) + field + " vmap @" + set, exprs: append(isFamily(is4), address(is4, dst), verdictOf(set))}
}

// verdictOf goes where a map says of what is in register 1.
func verdictOf(set string) *expr.Lookup {
	return &expr.Lookup{SourceRegister: reg1, DestRegister: 0, IsDestRegSet: true, SetName: set}
}

// Iifname matches the link by which a packet came in; a name that ends in * stands for all
// that begin so: iifname "eth0"
func Iifname(name string) Part {
	data, isPattern := strings.CutSuffix(name, "*") // compared without the zero at the end
	value := []byte(data)
	if !isPattern {
		value = IfName(name)
	}
	return metaIs(expr.MetaKeyIIFNAME, "iifname", fmt.Sprintf("%q", name), value)
}

// IifnameIn: iifname @set
func IifnameIn(set string) Part {
	return statement("iifname @"+set, meta(expr.MetaKeyIIFNAME), &expr.Lookup{SourceRegister: reg1, SetName: set})
}

// IifnameVmap goes where a map says: iifname vmap @set
func IifnameVmap(set string) Part {
	return statement("iifname vmap @"+set, meta(expr.MetaKeyIIFNAME), verdictOf(set))
}

// SourceNotIn matches a link and a MAC address: iifname . ether saddr != @set
func SourceNotIn(set string) Part {
	return statement("iifname . ether saddr != @"+set,
		meta(expr.MetaKeyIIFNAME), EtherSaddr.load(reg12), &expr.Lookup{SourceRegister: reg1, SetName: set, Invert: true})
}

// Iifgroup matches the group of the link by which a packet came in: iifgroup 25200
func Iifgroup(group uint32) Part {
	return metaIs(expr.MetaKeyIIFGROUP, "iifgroup", fmt.Sprint(group), native(group))
}

// Oifgroup matches the group of the link by which a packet goes out: oifgroup 25202
func Oifgroup(group uint32) Part {
	return metaIs(expr.MetaKeyOIFGROUP, "oifgroup", fmt.Sprint(group), native(group))
}

// NotLoopback: iiftype != loopback
func NotLoopback() Part {
	return metaIs(expr.MetaKeyIIFTYPE, "iiftype", "loopback", binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_LOOPBACK)).Not()
}

// Hardware matches a MAC address in family inet, where only an Ethernet packet has one:
// ether daddr 0a:58:c0:a8:0f:01
func Hardware(f Payload, mac net.HardwareAddr) Part {
	p := f.IsMAC(mac)
	p.exprs = append([]expr.Any{
		meta(expr.MetaKeyIIFTYPE), equals(binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_ETHER)),
	}, p.exprs...)
	return p
}

// L4proto matches a protocol, whatever extension headers stand before it: meta l4proto 58
func L4proto(number byte) Part {
	return metaIs(expr.MetaKeyL4PROTO, "meta l4proto", fmt.Sprint(number), []byte{number})
}

// Mark matches the bits of mask in a packet's mark: meta mark & 0x000000ff 0x00000001
func Mark(value, mask uint32) Part {
	p := metaIs(expr.MetaKeyMARK, "meta mark", fmt.Sprintf("0x%08x", value), native(value))
	if mask != ^uint32(0) {
		p.left += fmt.Sprintf(" & 0x%08x", mask)
		p.exprs = slices.Insert(p.exprs, 1, expr.Any(masked(native(mask))))
	}
	return p
}

// SetMark sets bits of a packet's mark: meta mark set meta mark | 0x00800000
func SetMark(bits uint32) Part {
	return statement(fmt.Sprintf("meta mark set meta mark | 0x%08x", bits), meta(expr.MetaKeyMARK),
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: native(^bits), Xor: native(bits)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: reg1})
}

// DaddrLocal: fib daddr type local
func DaddrLocal() Part {
	return statement("fib daddr type local",
		&expr.Fib{Register: reg1, FlagDADDR: true, ResultADDRTYPE: true}, equals(native(unix.RTN_LOCAL)))
}

// Dnat sends a packet to the container that a map of ports has for the packet:
// dnat ip to [ip daddr .] meta l4proto . th dport map @set
func Dnat(set string) Part {
	is4 := setOf(set).is4()
	text, exprs := portKey(set)
	nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg1, RegProtoMin: reg9}
	if !is4 {
		nat.Family, nat.RegProtoMin = unix.NFPROTO_IPV6, reg12
	}
	exprs = append(exprs, &expr.Lookup{SourceRegister: reg1, DestRegister: reg1, IsDestRegSet: true, SetName: set}, nat)
	return Part{left: fmt.Sprintf("dnat %s to %s map @%s", ipName(is4), text, set), exprs: exprs}
}

// PortVmap goes where a map of gates says: [ip daddr .] meta l4proto . th dport vmap @set
func PortVmap(set string) Part {
	s := setOf(set)
	text, exprs := portKey(set)
	if s.Key == port { // as nft prints it: nothing else has the family
		text = map[bool]string{true: "meta nfproto ipv4 ", false: "meta nfproto ipv6 "}[s.is4()] + text
	}
	return Part{left: fmt.Sprintf("%s vmap @%s", text, set), exprs: append(exprs, verdictOf(set))}
}

// portKey loads [ip daddr .] meta l4proto . th dport from register 1 on.
func portKey(set string) (string, []expr.Any) {
	s := setOf(set)
	is4 := s.is4()
	proto, dport, text := uint32(reg1), uint32(reg9), ""
	exprs := isFamily(is4)
	if s.Key != port {
		exprs = append(exprs, address(is4, true))
		proto, dport, text = reg9, reg10, ipName(is4)+" daddr . "
		if !is4 {
			proto, dport = reg12, reg13
		}
	}
	exprs = append(exprs,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: proto},
		&expr.Payload{DestRegister: dport, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
	return text + "meta l4proto . th dport", exprs
}

// statement is a part that is no comparison.
func statement(text string, exprs ...expr.Any) Part { return Part{left: text, exprs: exprs} }

// Jump goes through a chain and comes back.
func Jump(chain string) Part {
	return statement("jump "+chain, &expr.Verdict{Kind: expr.VerdictJump, Chain: chain})
}

// Return goes back to the chain that jumped here.
func Return() Part { return statement("return", &expr.Verdict{Kind: expr.VerdictReturn}) }

// Drop drops the packet.
func Drop() Part { return statement("drop", &expr.Verdict{Kind: expr.VerdictDrop}) }

// Accept ends the base chain; others at the same hook still see the packet.
func Accept() Part { return statement("accept", &expr.Verdict{Kind: expr.VerdictAccept}) }

// Masq gives the packet the host's address: masquerade
func Masq() Part { return statement("masquerade", &expr.Masq{}) }

// Notrack keeps the packet out of connection tracking.
func Notrack() Part { return statement("notrack", &expr.Notrack{}) }
