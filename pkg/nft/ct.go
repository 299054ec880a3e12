package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Bits of ct state (NF_CT_STATE_BIT) and of ct status (linux/netfilter/nf_conntrack_common.h).
const (
	ctEstablished = 1 << 1
	ctRelated     = 1 << 2
	ctNew         = 1 << 3
	ctSnat        = 1 << 4 // IPS_SRC_NAT
	ctDnat        = 1 << 5 // IPS_DST_NAT
)

func ct(key expr.CtKey) *expr.Ct { return &expr.Ct{Key: key, Register: reg1} }

// Forwarded: ct status dnat
func Forwarded() Part {
	return Part{left: "ct status dnat", exprs: anyOf(ctDnat, ct(expr.CtKeySTATUS))}
}

// ReplyToSnat: ct direction reply ct status snat
func ReplyToSnat() Part {
	return Part{
		left:  "ct direction reply ct status snat",
		exprs: append([]expr.Any{ct(expr.CtKeyDIRECTION), equals([]byte{1})}, anyOf(ctSnat, ct(expr.CtKeySTATUS))...),
	}
}

// NotEstablished: ct state & (established|related) == 0
func NotEstablished() Part {
	return Part{left: "ct state & (established|related) == 0", exprs: []expr.Any{
		ct(expr.CtKeySTATE), masked(native(ctEstablished | ctRelated)), equals(make([]byte, 4)),
	}}
}

// IsNew: ct state new
func IsNew() Part { return Part{left: "ct state new", exprs: anyOf(ctNew, ct(expr.CtKeySTATE))} }

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
