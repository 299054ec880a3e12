package netlink

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// Attr is one attribute of a message (struct nlattr, struct rtattr). Type has no flags.
type Attr struct {
	Type  uint16
	Value []byte // a part of the message
}

// Attributes lists a message's attributes, or those of a nested attribute. The last
// attribute may lack its padding. An attribute with a wrong length is an error; the list has
// the attributes before it.
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

// Nested is the value of the first attribute of the type; nil without one. Nested searches as
// far as the attributes' lengths are right.
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

// AppendAttr appends an attribute with its padding. kind may have flags (NLA_F_NESTED). The
// value must be shorter than 64 KiB.
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

// U8 reads an attribute of one byte; one that is too short is 0.
func U8(b []byte) uint8 {
	if len(b) < 1 {
		return 0
	}
	return b[0]
}

// U16 reads an attribute of two bytes in the machine's order; one that is too short is 0.
func U16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(b)
}

// U32 reads an attribute of four bytes in the machine's order; one that is too short is 0.
func U32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}
