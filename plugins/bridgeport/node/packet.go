package node

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Forwarded is the first packet of a connection at the forward hook, or on its way there. What is zero is
// not known.
type Forwarded struct {
	In, Out    *Link
	IPv4       bool
	Protocol   uint8          // IPPROTO_*
	From, To   netip.AddrPort // To is the container's
	Translated bool           // by a published port
	ToHost     bool           // To is the host's own; it counts where Out is nil
}

// bits are bytes of which some are known.
type bits struct{ value, known []byte }

func certain(value []byte) bits { return bits{value, bytes.Repeat([]byte{0xff}, len(value))} }

// unknown is n bytes of which nothing is known.
func unknown(n uint32) bits { return bits{make([]byte, n), make([]byte, n)} }

// put writes over bytes at an offset; an invalid address or port 0 is not known.
func (b bits) put(at int, value []byte) {
	copy(b.value[at:], value)
	copy(b.known[at:], bytes.Repeat([]byte{0xff}, len(value)))
}

// whole says whether all is known.
func (b bits) whole() bool {
	return !slices.ContainsFunc(b.known, func(k byte) bool { return k != 0xff })
}

// network is the header of IPv4 or IPv6 as far as rules look at it.
func (p Forwarded) network() bits {
	size, source, protocol := 40, 8, 6 // struct ipv6hdr
	if p.IPv4 {
		size, source, protocol = 20, 12, 9 // struct iphdr
	}
	b := unknown(uint32(size))
	b.put(protocol, []byte{p.Protocol})
	if a := p.From.Addr(); a.IsValid() {
		b.put(source, a.AsSlice())
	}
	if a := p.To.Addr(); a.IsValid() {
		b.put(source+len(a.AsSlice()), a.AsSlice())
	}
	return b
}

// transport is the ports, and of TCP that the segment opens a connection.
func (p Forwarded) transport() bits {
	b := unknown(20)
	if port := p.From.Port(); port != 0 {
		b.put(0, binary.BigEndian.AppendUint16(nil, port))
	}
	if port := p.To.Port(); port != 0 {
		b.put(2, binary.BigEndian.AppendUint16(nil, port))
	}
	if p.Protocol == unix.IPPROTO_TCP {
		const flags, syn = 13, 2 // struct tcphdr
		b.put(flags, []byte{syn})
	}
	return b
}

// kind is the EtherType.
func (p Forwarded) kind() []byte {
	kind := uint16(unix.ETH_P_IPV6)
	if p.IPv4 {
		kind = unix.ETH_P_IP
	}
	return binary.BigEndian.AppendUint16(nil, kind)
}

// frame is the header of Ethernet, of which the kind is known.
func (p Forwarded) frame() bits {
	b := unknown(14)
	b.put(12, p.kind())
	return b
}

func (p Forwarded) payload(e *expr.Payload) bits {
	from := map[expr.PayloadBase]bits{
		expr.PayloadBaseNetworkHeader: p.network(), expr.PayloadBaseTransportHeader: p.transport(), expr.PayloadBaseLLHeader: p.frame(),
	}[e.Base]
	if int(e.Offset+e.Len) > len(from.value) {
		return unknown(e.Len)
	}
	return bits{from.value[e.Offset : e.Offset+e.Len], from.known[e.Offset : e.Offset+e.Len]}
}

// meta is what the kernel knows of the packet; every register has 16 bytes for it.
func (p Forwarded) meta(key expr.MetaKey) bits {
	family := byte(unix.NFPROTO_IPV6)
	if p.IPv4 {
		family = unix.NFPROTO_IPV4
	}
	switch {
	case p.In != nil && slices.Contains([]expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyIIFGROUP, nft.MetaKeyIIFKIND}, key):
		return certain(p.In.meta(key))
	case p.Out != nil && slices.Contains([]expr.MetaKey{expr.MetaKeyOIFNAME, expr.MetaKeyOIFGROUP, nft.MetaKeyOIFKIND}, key):
		return certain(p.Out.meta(key))
	case key == expr.MetaKeyL4PROTO:
		return certain([]byte{p.Protocol})
	case key == expr.MetaKeyNFPROTO:
		return certain([]byte{family})
	case key == expr.MetaKeyPROTOCOL:
		return certain(p.kind())
	}
	return unknown(16)
}

// meta is a link's name, group or kind, as rules compare it.
func (l *Link) meta(key expr.MetaKey) []byte {
	switch key {
	case expr.MetaKeyIIFGROUP, expr.MetaKeyOIFGROUP:
		return binary.NativeEndian.AppendUint32(nil, l.Group)
	case nft.MetaKeyIIFKIND, nft.MetaKeyOIFKIND:
		return nft.IfName(l.Kind)
	}
	return nft.IfName(l.Name)
}

// fib is where the routes lead: rules of ours ask for the type of the destination alone.
func (p Forwarded) fib(e *expr.Fib) bits {
	if p.Out != nil || !e.ResultADDRTYPE || !e.FlagDADDR {
		return unknown(16)
	}
	kind := uint32(unix.RTN_UNICAST)
	if p.ToHost {
		kind = unix.RTN_LOCAL
	}
	return certain(binary.NativeEndian.AppendUint32(nil, kind))
}

// Values of ct state and ct status, as bits (linux/netfilter/nf_conntrack_common.h).
const (
	stateNew       = 1 << 3
	statusDnat     = 1<<5 | 1<<8 // and that this was looked at (IPS_DST_NAT_DONE)
	directionFirst = 0           // the packet goes the way of the first
)

func (p Forwarded) status() uint32 {
	if p.Translated {
		return statusDnat
	}
	return 1 << 8
}

// ct is what connection tracking knows of the packet.
func (p Forwarded) ct(key expr.CtKey) bits {
	switch key {
	case expr.CtKeySTATE:
		return certain(binary.NativeEndian.AppendUint32(nil, stateNew))
	case expr.CtKeySTATUS:
		return certain(binary.NativeEndian.AppendUint32(nil, p.status()))
	case expr.CtKeyDIRECTION:
		return certain([]byte{directionFirst})
	}
	return unknown(16)
}

// registers are nf_tables': 1 to 4 are 16 bytes each, and the same as 8 to 23, which are 4 bytes each.
type registers struct{ bits }

func newRegisters() registers { return registers{unknown(80)} }

func (r registers) at(register uint32) int {
	if register < 8 {
		return int(max(register, 1)-1) * 16
	}
	return int(min(register, 23)-8) * 4
}

func (r registers) load(register uint32, b bits) {
	at := r.at(register)
	copy(r.value[at:], b.value)
	copy(r.known[at:], b.known)
}

func (r registers) read(register uint32, n int) bits {
	at := r.at(register)
	end := min(at+n, len(r.value))
	return bits{r.value[at:end], r.known[at:end]}
}

// masked is b & mask ^ xor: a bit that the mask takes away is known.
func (b bits) masked(mask, xor []byte) bits {
	out := unknown(uint32(len(b.value)))
	for i := range b.value[:min(len(mask), len(xor), len(b.value))] {
		out.value[i] = b.value[i]&mask[i] ^ xor[i]
		if b.known[i] == 0xff || mask[i] == 0 {
			out.known[i] = 0xff
		}
	}
	return out
}
