package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes takes a message's attributes apart (struct rtattr). The library's parser
// relies on the last one being padded.
func attributes(b []byte) ([]syscall.NetlinkRouteAttr, error) {
	var list []syscall.NetlinkRouteAttr
	for len(b) >= unix.SizeofRtAttr {
		n := binary.NativeEndian.Uint16(b)
		if n < unix.SizeofRtAttr || int(n) > len(b) {
			return nil, errors.New("netlink: attribute with a wrong length")
		}
		list = append(list, syscall.NetlinkRouteAttr{
			Attr:  syscall.RtAttr{Len: n, Type: binary.NativeEndian.Uint16(b[2:])},
			Value: b[unix.SizeofRtAttr:n],
		})
		b = b[min((int(n)+3)&^3, len(b)):]
	}
	return list, nil
}

// u8, u16 and u32 read an attribute; one that is too short is 0.
func u8(b []byte) uint8 {
	if len(b) < 1 {
		return 0
	}
	return b[0]
}

// cString is a text, which the kernel ends by a zero.
func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

func u16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(b)
}

func u32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}
