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
	flagSrcPort                = 1 << 4
	flagDstPort                = 1 << 5
)

// nest is an attribute of attributes.
func nest(kind uint16, attrs ...[]byte) []byte {
	return netlink.AppendAttr(nil, kind|nested, slices.Concat(attrs...)...)
}

func attr(kind uint16, data ...byte) []byte { return netlink.AppendAttr(nil, kind, data...) }

// attributes are CTA_TUPLE_*, what to look for, and CTA_FILTER, which of it counts. An IPv6 address is
// none of it: the kernel takes the flows of all other addresses (ctnetlink_filter_match_tuple has
// !ipv6_addr_cmp, seen up to Linux 6.18).
func (f Filter) attributes() []byte {
	orig, reply := half{}, half{}
	if f.Protocol != 0 {
		orig = protocol(f.Protocol, dstPort, f.DestPort, flagDstPort)
		if f.Server.Port() != 0 {
			reply = protocol(f.Protocol, srcPort, f.Server.Port(), flagSrcPort)
		}
	}
	if f.Server.Addr().Is4() {
		reply = half{append(nest(tupleIP, attr(ip4Src, f.Server.Addr().AsSlice()...)), reply.tuple...), reply.flags | flagIPSrc}
	}
	var out, filter []byte
	for _, h := range []struct {
		half
		tuple, filter uint16
	}{{orig, tupleOrig, filterOrig}, {reply, tupleReply, filterReply}} {
		if h.flags != 0 {
			out = append(out, nest(h.tuple, h.half.tuple)...)
			filter = append(filter, attr(h.filter, binary.NativeEndian.AppendUint32(nil, h.flags)...)...)
		}
	}
	if len(filter) == 0 {
		return nil
	}
	return append(out, nest(attrFilter, filter)...)
}

// half is what to look for in one direction of a flow, and the kernel's flags for it.
type half struct {
	tuple []byte
	flags uint32
}

// protocol is CTA_TUPLE_PROTO with a protocol and, unless it is 0, a port.
func protocol(number uint8, kind, port uint16, flag uint32) half {
	if port == 0 {
		return half{nest(tupleProto, attr(protoNum, number)), flagProtoNum}
	}
	return half{nest(tupleProto, attr(protoNum, number), attr(kind, binary.BigEndian.AppendUint16(nil, port)...)), flagProtoNum | flag}
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
