package nft

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/nftables/userdata"
)

// keyText prints a key as nft does: [address .] protocol . port, an address, or a
// link's name and what may stand behind it.
func keyText(set string, key []byte) string {
	if set == "macs" && len(key) >= ifNameSize+6 {
		return fmt.Sprintf("%q . %s", cString(key[:ifNameSize]), net.HardwareAddr(key[ifNameSize:ifNameSize+6]))
	}
	if !strings.HasSuffix(set, "4") && !strings.HasSuffix(set, "6") {
		return fmt.Sprintf("%q", cString(key))
	}
	addr := 4
	if strings.HasSuffix(set, "6") {
		addr = 16
	}
	switch len(key) {
	case addr:
		return addressText(key)
	case 8:
		return portText(key)
	case addr + 8:
		return addressText(key[:addr]) + " . " + portText(key[addr:])
	}
	return fmt.Sprintf("%x", key)
}

func addressText(b []byte) string {
	a, _ := netip.AddrFromSlice(b) // 4 or 16 bytes, as the caller counted
	return a.String()
}

// portText prints 8 bytes: protocol and port, each padded to 4.
func portText(b []byte) string {
	return fmt.Sprintf("%s . %d", ProtocolName(b[0]), binary.BigEndian.Uint16(b[4:]))
}

// valueText prints a container's address and port.
func valueText(b []byte) string {
	if len(b) != 8 && len(b) != 20 {
		return fmt.Sprintf("%x", b)
	}
	n := len(b) - 4
	return fmt.Sprintf("%s . %d", addressText(b[:n]), binary.BigEndian.Uint16(b[n:]))
}

// cString is a name without the zeros at its end.
func cString(data []byte) string { return string(bytes.TrimRight(data, "\x00")) }

// commentIn is the text of a kind in user data, a list of type, length and value
// (libnftnl/udata.h); "" where there is none. Anybody may have written anything there, and
// the library's reader panics.
func commentIn(data []byte, kind userdata.Type) string {
	for len(data) >= 2 {
		n := 2 + int(data[1])
		if n > len(data) {
			return ""
		}
		if userdata.Type(data[0]) == kind {
			return cString(data[2:n])
		}
		data = data[n:]
	}
	return ""
}
