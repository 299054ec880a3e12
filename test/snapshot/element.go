package snapshot

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// elementText is one element in about nft's own form:
// "10.0.0.1 . tcp . 80 : 10.0.0.2 . 8080 comment …".
func elementText(set *nftables.Set, e nftables.SetElement) string {
	text := dataText(set.KeyType.Name, e.Key)
	if len(e.KeyEnd) > 0 {
		text += "-" + dataText(set.KeyType.Name, e.KeyEnd)
	}
	if e.IntervalEnd {
		text += " (end of interval)"
	}
	switch {
	case set.IsMap && set.DataType.Name == nftables.TypeVerdict.Name:
		text += " : " + verdictText(e.Val)
	case set.IsMap:
		text += " : " + dataText(set.DataType.Name, e.Val)
	}
	if e.Timeout != 0 {
		text += fmt.Sprintf(" timeout %v", e.Timeout)
	}
	if e.Comment != "" {
		text += fmt.Sprintf(" comment %q", e.Comment)
	}
	return text
}

// verdictText reads the attributes of a verdict, NFTA_VERDICT_CODE and _CHAIN: the
// library hands them out undecoded.
func verdictText(b []byte) string {
	attrs, err := parseAttrs(b)
	code := attrs[unix.NFTA_VERDICT_CODE]
	if err != nil || len(code) != 4 {
		return fmt.Sprintf("verdict %x", b)
	}
	chain := cString(attrs[unix.NFTA_VERDICT_CHAIN])
	switch kind := expr.VerdictKind(int32(binary.BigEndian.Uint32(code))); kind {
	case expr.VerdictJump:
		return "jump " + chain
	case expr.VerdictGoto:
		return "goto " + chain
	default:
		return fmt.Sprintf("verdict %d %s", kind, chain)
	}
}

// fieldSize is the sizes of the types that have a readable form. In a concatenation
// each field is padded to a multiple of 4 (nft_set.h, netlink_padded_len).
var fieldSize = map[string]int{
	"ipv4_addr": 4, "ipv6_addr": 16, "inet_proto": 1, "inet_service": 2, "ether_addr": 6,
	"ifname": 16, "mark": 4, "nf_proto": 1,
}

// dataText is the value of a type as people write it, or in hexadecimal.
func dataText(kind string, b []byte) string {
	fields := strings.Split(kind, " . ")
	var parts []string
	for rest := b; ; {
		size, known := fieldSize[fields[0]]
		if !known || len(rest) < size {
			return fmt.Sprintf("%s %x", kind, b)
		}
		parts = append(parts, fieldText(fields[0], rest[:size]))
		fields = fields[1:]
		if len(fields) == 0 {
			return strings.Join(parts, " . ")
		}
		padded := (size + 3) / 4 * 4
		if len(rest) < padded {
			return fmt.Sprintf("%s %x", kind, b)
		}
		rest = rest[padded:]
	}
}

func fieldText(kind string, b []byte) string {
	switch kind {
	case "ipv4_addr", "ipv6_addr":
		addr, _ := netip.AddrFromSlice(b) // its length is right
		return addr.String()
	case "inet_proto":
		if name, ok := map[byte]string{6: "tcp", 17: "udp", 132: "sctp"}[b[0]]; ok {
			return name
		}
		return fmt.Sprint(b[0])
	case "inet_service":
		return fmt.Sprint(binary.BigEndian.Uint16(b))
	case "ether_addr":
		return net.HardwareAddr(b).String()
	case "ifname":
		return fmt.Sprintf("%q", bytes.TrimRight(b, "\x00"))
	}
	return fmt.Sprintf("%#x", b)
}
