package nft

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// part is a piece of a rule: a match, a statement or a verdict.
type part struct {
	text  string
	exprs []expr.Any
}

func rule(comment string, parts ...part) Rule {
	var r Rule
	var texts []string
	for _, p := range parts {
		texts = append(texts, p.text)
		r.exprs = append(r.exprs, p.exprs...)
	}
	r.Text, r.Comment = strings.Join(texts, " "), comment[:min(len(comment), CommentLimit)]
	return r
}

// Registers of nf_tables: 1 is 16 bytes wide and the same as 8 to 11, which are 4
// bytes each (linux/netfilter/nf_tables.h). A concatenation fills consecutive ones.
const (
	reg1  = 1
	reg9  = 9
	reg10 = 10
	reg12 = 2 // 12 to 15 are also called 2
	reg13 = 13
)

// isFamily matches IPv4 or IPv6; in family inet every look at an address needs it.
func isFamily(is4 bool) []expr.Any {
	proto := byte(unix.NFPROTO_IPV6)
	if is4 {
		proto = unix.NFPROTO_IPV4
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: reg1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{proto}},
	}
}

func family4(is4 bool) string {
	if is4 {
		return "ip"
	}
	return "ip6"
}

// address loads the source or destination address into register 1.
func address(is4, dst bool) *expr.Payload {
	p := &expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader}
	switch {
	case is4 && dst:
		p.Offset, p.Len = 16, 4 // struct iphdr
	case is4:
		p.Offset, p.Len = 12, 4
	case dst:
		p.Offset, p.Len = 24, 16 // struct ipv6hdr
	default:
		p.Offset, p.Len = 8, 16
	}
	return p
}

func destination(p netip.Prefix) part { return inPrefix(p, true) }
func source(p netip.Prefix) part      { return inPrefix(p, false) }

// inPrefix: ip daddr 10.1.0.0/16
func inPrefix(p netip.Prefix, dst bool) part { return comparePrefix(p, dst, false) }

// comparePrefix: ip daddr [!=] 10.1.0.0/16
func comparePrefix(p netip.Prefix, dst, not bool) part {
	is4, field := p.Addr().Is4(), "saddr "
	if dst {
		field = "daddr "
	}
	op := expr.CmpOpEq
	if not {
		op, field = expr.CmpOpNeq, field+"!= "
	}
	exprs := append(isFamily(is4), address(is4, dst))
	width := p.Addr().BitLen() / 8
	if p.Bits() < p.Addr().BitLen() {
		mask := make([]byte, width)
		for i := range p.Bits() {
			mask[i/8] |= 0x80 >> (i % 8)
		}
		exprs = append(exprs, &expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: uint32(width), Mask: mask, Xor: make([]byte, width)})
	}
	exprs = append(exprs, &expr.Cmp{Op: op, Register: reg1, Data: p.Masked().Addr().AsSlice()})
	text := p.Masked().String()
	if p.IsSingleIP() {
		text = p.Addr().String()
	}
	return part{fmt.Sprintf("%s %s%s", family4(is4), field, text), exprs}
}

// notLoopback: iiftype != loopback
func notLoopback() part {
	return part{"iiftype != loopback", []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFTYPE, Register: reg1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_LOOPBACK)},
	}}
}

// hardware: ether daddr 0a:58:c0:a8:0f:01. In family inet only an Ethernet packet has
// such a header.
func hardware(f field, mac net.HardwareAddr) part {
	p := f.compared(expr.CmpOpEq, mac, mac.String())
	p.exprs = append([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFTYPE, Register: reg1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_ETHER)},
	}, p.exprs...)
	return p
}

func notrack() part { return part{"notrack", []expr.Any{&expr.Notrack{}}} }

// toLocal: fib daddr type local
func toLocal() part {
	return part{"fib daddr type local", []expr.Any{
		&expr.Fib{Register: reg1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
	}}
}

// forwarded: ct status dnat
func forwarded() part {
	const dnat = 1 << 5 // IPS_DST_NAT, linux/netfilter/nf_conntrack_common.h
	return part{"ct status dnat", []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: reg1},
		&expr.Bitwise{
			SourceRegister: reg1, DestRegister: reg1, Len: 4,
			Mask: binary.NativeEndian.AppendUint32(nil, dnat), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: make([]byte, 4)},
	}}
}

// dnatByPort: dnat ip to [ip daddr .] meta l4proto . th dport map @set
func dnatByPort(set string, is4, byAddress bool) part {
	text, exprs := portKey(is4, byAddress)
	nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg1, RegProtoMin: reg9}
	if !is4 {
		nat.Family, nat.RegProtoMin = unix.NFPROTO_IPV6, reg12
	}
	exprs = append(exprs, &expr.Lookup{SourceRegister: reg1, DestRegister: reg1, IsDestRegSet: true, SetName: set}, nat)
	return part{fmt.Sprintf("dnat %s to %s map @%s", family4(is4), text, set), exprs}
}

// gateByPort: [ip daddr .] meta l4proto . th dport vmap @set
func gateByPort(set string, is4, byAddress bool) part {
	text, exprs := portKey(is4, byAddress)
	if !byAddress { // as nft prints it: nothing else tells the family
		text = map[bool]string{true: "meta nfproto ipv4 ", false: "meta nfproto ipv6 "}[is4] + text
	}
	exprs = append(exprs, &expr.Lookup{SourceRegister: reg1, DestRegister: 0, IsDestRegSet: true, SetName: set})
	return part{fmt.Sprintf("%s vmap @%s", text, set), exprs}
}

// portKey loads [ip daddr .] meta l4proto . th dport from register 1 on.
func portKey(is4, byAddress bool) (string, []expr.Any) {
	proto, port, text := uint32(reg1), uint32(reg9), ""
	exprs := isFamily(is4)
	if byAddress {
		exprs = append(exprs, address(is4, true))
		proto, port, text = reg9, reg10, family4(is4)+" daddr . "
		if !is4 {
			proto, port = reg12, reg13
		}
	}
	exprs = append(exprs,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: proto},
		&expr.Payload{DestRegister: port, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
	return text + "meta l4proto . th dport", exprs
}

// inSet: ip daddr @set
func inSet(set string, is4 bool) part {
	exprs := append(isFamily(is4), address(is4, true), &expr.Lookup{SourceRegister: reg1, SetName: set})
	return part{fmt.Sprintf("%s daddr @%s", family4(is4), set), exprs}
}

// verdictBy: ip saddr vmap @set
func verdictBy(set string, is4, dst bool) part {
	field := "saddr"
	if dst {
		field = "daddr"
	}
	exprs := append(isFamily(is4), address(is4, dst),
		&expr.Lookup{SourceRegister: reg1, DestRegister: 0, IsDestRegSet: true, SetName: set})
	return part{fmt.Sprintf("%s %s vmap @%s", family4(is4), field, set), exprs}
}

func jump(chain string) part {
	return part{"jump " + chain, []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}}
}

func stop(kind expr.VerdictKind) part {
	text := map[expr.VerdictKind]string{expr.VerdictReturn: "return", expr.VerdictDrop: "drop", expr.VerdictAccept: "accept"}[kind]
	return part{text, []expr.Any{&expr.Verdict{Kind: kind}}}
}

func masquerade() part {
	return part{"masquerade", []expr.Any{&expr.Masq{}}}
}
