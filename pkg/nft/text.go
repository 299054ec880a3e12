package nft

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/shell"
	"github.com/google/nftables/userdata"
)

// command is a command of nft(8) as a person types it into a shell.
func command(format string, args ...any) string {
	return shell.Command("nft", fmt.Sprintf(format, args...))
}

// fieldsText prints a key or a value as nft does, by the names of its fields' types. Each
// field is padded to 4 bytes. A stranger may have written a key or a value of another length.
func fieldsText(types string, b []byte) string {
	var texts []string
	rest := b
	for _, t := range datatypes(types) {
		size := int(t.Bytes)
		if len(rest) < size {
			return strangeText(types, b)
		}
		texts = append(texts, fieldText(t.Name, rest[:size]))
		rest = rest[min((size+3)&^3, len(rest)):]
	}
	if len(rest) > 0 {
		return strangeText(types, b)
	}
	return strings.Join(texts, " . ")
}

func fieldText(kind string, b []byte) string {
	switch kind {
	case ip4, ip6:
		a, _ := netip.AddrFromSlice(b) // of the type's size
		return a.String()
	case service:
		return fmt.Sprint(binary.BigEndian.Uint16(b))
	case link:
		return fmt.Sprintf("%q", cString(b))
	case "inet_proto":
		return hostport.ProtocolName(b[0])
	}
	return net.HardwareAddr(b).String()
}

func strangeText(types string, b []byte) string {
	if strings.HasPrefix(types, link) {
		return fmt.Sprintf("%q", cString(b))
	}
	return fmt.Sprintf("%x", b)
}

// cString is a name without the zeros at its end.
func cString(data []byte) string { return string(bytes.TrimRight(data, "\x00")) }

// commentIn is the text of a kind in user data, a list of type, length and value
// (libnftnl/udata.h); "" without one. The library's reader panics at what anybody may write there.
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

// CommentOf is the comment of a rule, in its user data.
func CommentOf(data []byte) string { return commentIn(data, userdata.TypeComment) }
