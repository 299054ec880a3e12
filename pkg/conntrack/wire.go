package conntrack

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
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
	headerSize                 = 4 // struct nfgenmsg
)

// family is struct nfgenmsg.
func family(ipv6 bool) []byte {
	if ipv6 {
		return []byte{unix.AF_INET6, unix.NFNETLINK_V0, 0, 0}
	}
	return []byte{unix.AF_INET, unix.NFNETLINK_V0, 0, 0}
}

// marshal can fail only for attributes over 64 KiB, which ours never are.
func marshal(attrs ...netlink.Attribute) []byte {
	data, _ := netlink.MarshalAttributes(attrs)
	return data
}

func attr(kind uint16, data []byte) netlink.Attribute {
	return netlink.Attribute{Type: kind, Data: data}
}

func nest(kind uint16, attrs ...netlink.Attribute) netlink.Attribute {
	return attr(kind|nested, marshal(attrs...))
}

// attributes are CTA_TUPLE_*, what to look for, and CTA_FILTER, which of it counts.
func (f Filter) attributes() []byte {
	var out, filter []netlink.Attribute
	if f.Protocol != 0 {
		proto := []netlink.Attribute{attr(protoNum, []byte{f.Protocol})}
		flags := uint32(flagProtoNum)
		if f.DestPort != 0 {
			proto = append(proto, attr(dstPort, binary.BigEndian.AppendUint16(nil, f.DestPort)))
			flags |= flagDstPort
		}
		out = append(out, nest(tupleOrig, nest(tupleProto, proto...)))
		filter = append(filter, attr(filterOrig, binary.NativeEndian.AppendUint32(nil, flags)))
	}
	if f.Server.IsValid() {
		kind := uint16(ip4Src)
		if f.IPv6 {
			kind = ip6Src
		}
		out = append(out, nest(tupleReply, nest(tupleIP, attr(kind, f.Server.AsSlice()))))
		filter = append(filter, attr(filterReply, binary.NativeEndian.AppendUint32(nil, flagIPSrc)))
	}
	if len(filter) == 0 {
		return nil
	}
	return marshal(append(out, nest(attrFilter, filter...))...)
}

// tuple is one direction of a flow.
type tuple struct {
	src, dst netip.Addr
	from, to uint16
	protocol uint8
}

func parse(data []byte) (Flow, bool) {
	if len(data) < headerSize {
		return Flow{}, false
	}
	attrs, err := netlink.UnmarshalAttributes(data[headerSize:])
	if err != nil {
		return Flow{}, false
	}
	var flow Flow
	var orig, reply tuple
	for _, a := range attrs {
		switch a.Type &^ nested {
		case tupleOrig:
			orig, flow.orig = parseTuple(a.Data), a.Data
		case tupleReply:
			reply = parseTuple(a.Data)
		}
	}
	flow.Protocol = orig.protocol
	flow.Client = netip.AddrPortFrom(orig.src, orig.from)
	flow.Dest = netip.AddrPortFrom(orig.dst, orig.to)
	flow.Server = netip.AddrPortFrom(reply.src, reply.from)
	return flow, orig.dst.IsValid() && reply.src.IsValid()
}

func parseTuple(data []byte) tuple {
	var t tuple
	walk(data, func(kind uint16, data []byte) {
		walk(data, func(inner uint16, data []byte) {
			switch kind<<8 | inner {
			case tupleIP<<8 | ip4Src, tupleIP<<8 | ip6Src:
				t.src, _ = netip.AddrFromSlice(data)
			case tupleIP<<8 | ip4Dst, tupleIP<<8 | ip6Dst:
				t.dst, _ = netip.AddrFromSlice(data)
			case tupleProto<<8 | protoNum:
				t.protocol = data[0]
			case tupleProto<<8 | srcPort:
				t.from = port(data)
			case tupleProto<<8 | dstPort:
				t.to = port(data)
			}
		})
	})
	return t
}

// port reads two bytes; the kernel never sends fewer.
func port(data []byte) uint16 {
	if len(data) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(data)
}

func walk(data []byte, fn func(uint16, []byte)) {
	attrs, err := netlink.UnmarshalAttributes(data)
	if err != nil {
		return // then the flow lacks an address and is passed over
	}
	for _, a := range attrs {
		if len(a.Data) > 0 {
			fn(a.Type&^nested, a.Data)
		}
	}
}
