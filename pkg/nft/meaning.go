package nft

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// meaning is a rule without the form of its comparisons. nft(8) changes the form when it saves a
// ruleset and loads it again: a prefix becomes a shorter field, a field becomes two, and a protocol
// brings the family that it implies.
type meaning struct {
	octets map[octet]test // of equations
	unlike map[string]int // comparisons for !=, and how often
	rest   []expr.Any     // all else, in its order
}

// octet is a byte of a packet.
type octet struct {
	base   expr.PayloadBase
	offset uint32
}

// test says that a byte has a value, in the bits of mask.
type test struct{ mask, value byte }

// etherType is where a frame has its protocol.
var etherType = octet{expr.PayloadBaseLLHeader, 12}

// sameRule compares rules by their shape, and those that differ in it by their meaning.
func sameRule(a, b []expr.Any) bool {
	if sameShape(a, b) {
		return true
	}
	x, y := meaningOf(a), meaningOf(b)
	return maps.Equal(x.octets, y.octets) && maps.Equal(x.unlike, y.unlike) && sameShape(x.rest, y.rest)
}

func meaningOf(exprs []expr.Any) meaning {
	m := meaning{octets: make(map[octet]test), unlike: make(map[string]int)}
	for len(exprs) > 0 {
		if n := m.compare(exprs); n > 0 {
			exprs = exprs[n:]
			continue
		}
		m.rest, exprs = append(m.rest, exprs[0]), exprs[1:]
	}
	m.implied()
	return m
}

// compare takes a comparison with a field of the packet off the list: its number of expressions.
func (m *meaning) compare(exprs []expr.Any) int {
	at, ok := fieldOf(exprs[0])
	n := 1
	var mask []byte
	if ok && n < len(exprs) {
		if b, masked := exprs[n].(*expr.Bitwise); masked && len(bytes.Trim(b.Xor, "\x00")) == 0 {
			mask, n = b.Mask, n+1
		}
	}
	if !ok || n >= len(exprs) {
		return 0
	}
	cmp, ok := exprs[n].(*expr.Cmp)
	if mask == nil && ok {
		mask = bytes.Repeat([]byte{0xff}, len(cmp.Data))
	}
	switch {
	case !ok || len(mask) != len(cmp.Data):
		return 0
	case cmp.Op == expr.CmpOpEq:
		for i, bits := range mask {
			if bits != 0 {
				t := m.octets[octet{at.base, at.offset + uint32(i)}]
				m.octets[octet{at.base, at.offset + uint32(i)}] = test{t.mask | bits, t.value | cmp.Data[i]}
			}
		}
	case cmp.Op == expr.CmpOpNeq:
		short := bytes.TrimRight(mask, "\x00")
		m.unlike[fmt.Sprint(at, short, cmp.Data[:len(short)])]++
	default:
		return 0
	}
	return n + 1
}

// fieldOf says which field an expression loads. The protocol of a packet is the EtherType of its frame.
func fieldOf(e expr.Any) (octet, bool) {
	switch e := e.(type) {
	case *expr.Payload:
		return octet{e.Base, e.Offset}, true
	case *expr.Meta:
		return etherType, e.Key == expr.MetaKeyPROTOCOL && !e.SourceRegister
	}
	return octet{}, false
}

// implied removes the EtherType of IPv4 and IPv6 where the rule names the family's own ICMP.
func (m *meaning) implied() {
	high, low := etherType, octet{etherType.base, etherType.offset + 1}
	kind := binary.BigEndian.Uint16([]byte{m.octets[high].value, m.octets[low].value})
	protocol, ok := map[uint16]byte{unix.ETH_P_IP: unix.IPPROTO_ICMP, unix.ETH_P_IPV6: unix.IPPROTO_ICMPV6}[kind]
	for i := range m.rest[:max(len(m.rest)-1, 0)] {
		if ok && sameShape(m.rest[i:i+2], L4proto(protocol).exprs) {
			delete(m.octets, high)
			delete(m.octets, low)
		}
	}
}
