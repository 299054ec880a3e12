package netlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attr is one attribute of a message (struct nlattr, struct rtattr). Type has no flags.
type Attr struct {
	Type  uint16
	Value []byte // a part of the message
}

// Attributes lists a message's attributes, or those of a nested attribute. The last may lack its
// padding. One with a wrong length is an error; the list has those before it.
func Attributes(b []byte) (list []Attr, err error) {
	for len(b) >= unix.SizeofNlAttr {
		a, rest, ok := cut(b)
		if !ok {
			return list, errors.New("netlink: attribute with a wrong length")
		}
		list, b = append(list, a), rest
	}
	return list, nil
}

// cut is the first attribute, and what follows it; false where its length is wrong.
func cut(b []byte) (a Attr, rest []byte, ok bool) {
	n := int(binary.NativeEndian.Uint16(b))
	if n < unix.SizeofNlAttr || n > len(b) {
		return a, nil, false
	}
	kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
	return Attr{kind, b[unix.SizeofNlAttr:n]}, b[min((n+3)&^3, len(b)):], true
}

// Nested is the value of the first attribute of the type; nil without one before a wrong length.
func Nested(b []byte, kind uint16) []byte {
	for len(b) >= unix.SizeofNlAttr {
		a, rest, ok := cut(b)
		if !ok || a.Type == kind {
			return a.Value
		}
		b = rest
	}
	return nil
}

// AppendAttr appends an attribute of less than 64 KiB, padded. kind may have flags (NLA_F_NESTED).
func AppendAttr(b []byte, kind uint16, value ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	for len(b)%unix.NLA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// AppendName appends an attribute with a text, which the kernel wants ended by a zero.
func AppendName(b []byte, kind uint16, name string) []byte {
	return AppendAttr(b, kind, append([]byte(name), 0)...)
}

// CString is a text without the zero that the kernel ends it by.
func CString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

// U8 reads an attribute of one byte. One that is too short is 0, here and in the next two.
func U8(b []byte) uint8 { return atLeast(b, 1)[0] }

// U16 reads an attribute of two bytes in the machine's order.
func U16(b []byte) uint16 { return binary.NativeEndian.Uint16(atLeast(b, 2)) }

// U32 reads an attribute of four bytes in the machine's order.
func U32(b []byte) uint32 { return binary.NativeEndian.Uint32(atLeast(b, 4)) }

// atLeast is b, or zeros where b has fewer than n bytes.
func atLeast(b []byte, n int) []byte {
	if len(b) < n {
		return make([]byte, n)
	}
	return b
}

// Request is a message of NETLINK_ROUTE: kind is RTM_*, flags are NLM_F_*, head is the struct
// that stands before the attributes. Attributes that are nil are left out.
func Request(kind, flags int, head nl.NetlinkRequestData, attrs ...*nl.RtAttr) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	req.AddData(head)
	for _, a := range attrs {
		if a != nil {
			req.AddData(a)
		}
	}
	return req
}

// LinkRequest is a message about the link called name; up brings the link up.
func LinkRequest(kind, flags int, name string, up bool, attrs ...*nl.RtAttr) *nl.NetlinkRequest {
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	if up {
		info.Flags, info.Change = unix.IFF_UP, unix.IFF_UP
	}
	return Request(kind, flags, info, append([]*nl.RtAttr{nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name))}, attrs...)...)
}

// Bytes is an attribute; nil for an empty value.
func Bytes(kind int, value []byte) *nl.RtAttr {
	if len(value) == 0 {
		return nil
	}
	return nl.NewRtAttr(kind, value)
}

// Number is an attribute of four bytes; nil for 0, which leaves the kernel's value.
func Number[T int | uint32](kind int, n T) *nl.RtAttr {
	if n == 0 {
		return nil
	}
	return nl.NewRtAttr(kind, nl.Uint32Attr(uint32(n)))
}

// Flag is an attribute of one byte, 0 or 1.
func Flag(kind int, on bool) *nl.RtAttr {
	if on {
		return nl.NewRtAttr(kind, []byte{1})
	}
	return nl.NewRtAttr(kind, []byte{0})
}

// Nest is an attribute of attributes, without those that are nil; nil where all are.
func Nest(kind int, attrs ...*nl.RtAttr) *nl.RtAttr {
	attrs = slices.DeleteFunc(attrs, func(a *nl.RtAttr) bool { return a == nil })
	if len(attrs) == 0 {
		return nil
	}
	nest := nl.NewRtAttr(kind, nil)
	for _, a := range attrs {
		nest.AddChild(a)
	}
	return nest
}

// LinkInfo is IFLA_LINKINFO for a new link of the kind, such as "bridge", with what is its own.
func LinkInfo(kind string, own ...*nl.RtAttr) *nl.RtAttr {
	return Nest(unix.IFLA_LINKINFO, nl.NewRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(kind)), Nest(nl.IFLA_INFO_DATA, own...))
}

// Ignore is err, or nil where err is one of the given errors.
func Ignore(err error, these ...error) error {
	if slices.ContainsFunc(these, func(e error) bool { return errors.Is(err, e) }) {
		return nil
	}
	return err
}
