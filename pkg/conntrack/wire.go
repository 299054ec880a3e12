package conntrack

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
)

// Attributes inside a tuple, and the bits of the kernel's filter.
const (
	tupleIP, tupleProto        = 1, 2
	ip4Src, ip4Dst             = 1, 2
	ip6Src, ip6Dst             = 3, 4
	protoNum, srcPort, dstPort = 1, 2, 3
	filterOrig, filterReply    = 1, 2
	flagIPSrc                  = 1 << 0
	flagProtoNum               = 1 << 3
	flagDstPort                = 1 << 5
)

// nest is an attribute of attributes.
func nest(kind uint16, attrs ...[]byte) []byte {
	return netlink.AppendAttr(nil, kind|nested, slices.Concat(attrs...)...)
}

func attr(kind uint16, data ...byte) []byte { return netlink.AppendAttr(nil, kind, data...) }

// attributes are CTA_TUPLE_*, what to look for, and CTA_FILTER, which of it counts.
func (f Filter) attributes() []byte {
	var out, filter []byte
	if f.Protocol != 0 {
		proto, flags := attr(protoNum, f.Protocol), uint32(flagProtoNum)
		if f.DestPort != 0 {
			proto = append(proto, attr(dstPort, binary.BigEndian.AppendUint16(nil, f.DestPort)...)...)
			flags |= flagDstPort
		}
		out = nest(tupleOrig, nest(tupleProto, proto))
		filter = attr(filterOrig, binary.NativeEndian.AppendUint32(nil, flags)...)
	}
	if f.Server.IsValid() {
		kind := uint16(ip4Src)
		if f.IPv6 {
			kind = ip6Src
		}
		out = append(out, nest(tupleReply, nest(tupleIP, attr(kind, f.Server.AsSlice()...)))...)
		filter = append(filter, attr(filterReply, binary.NativeEndian.AppendUint32(nil, flagIPSrc)...)...)
	}
	if len(filter) == 0 {
		return nil
	}
	return append(out, nest(attrFilter, filter)...)
}

// tuple is one direction of a flow.
type tuple struct {
	src, dst netip.Addr
	from, to uint16
	protocol uint8
}

// parse reads the attributes of a flow; false where an address is missing. The flow refers to b.
func parse(b []byte) (Flow, bool) {
	flow := Flow{orig: netlink.Nested(b, tupleOrig)}
	orig, reply := parseTuple(flow.orig), parseTuple(netlink.Nested(b, tupleReply))
	flow.Protocol = orig.protocol
	flow.Client = netip.AddrPortFrom(orig.src, orig.from)
	flow.Dest = netip.AddrPortFrom(orig.dst, orig.to)
	flow.Server = netip.AddrPortFrom(reply.src, reply.from)
	return flow, orig.dst.IsValid() && reply.src.IsValid()
}

// parseTuple reads a tuple. A broken tuple lacks an address.
func parseTuple(data []byte) (t tuple) {
	ip, proto := netlink.Nested(data, tupleIP), netlink.Nested(data, tupleProto)
	address := func(four, six uint16) netip.Addr {
		a, ok := netip.AddrFromSlice(netlink.Nested(ip, four))
		if !ok {
			a, _ = netip.AddrFromSlice(netlink.Nested(ip, six))
		}
		return a
	}
	t.src, t.dst = address(ip4Src, ip6Src), address(ip4Dst, ip6Dst)
	t.protocol = netlink.U8(netlink.Nested(proto, protoNum))
	t.from, t.to = port(netlink.Nested(proto, srcPort)), port(netlink.Nested(proto, dstPort))
	return t
}

// port reads two bytes; the kernel never sends fewer.
func port(data []byte) uint16 {
	if len(data) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(data)
}
