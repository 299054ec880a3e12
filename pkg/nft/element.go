package nft

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// CommentLimit is how long an element's comment may be, in bytes: nft prints and
// loads up to 128 (NFTNL_UDATA_COMMENT_MAXLEN), with the terminating zero.
const CommentLimit = 127

// Element is one entry of a set or map of our table.
type Element struct {
	Set     string // name of the set or map
	Key     []byte // as the kernel wants it: each field padded to 4 bytes
	Value   []byte // of a map; nil in sets and verdict maps
	Chain   string // of a verdict map: where to go; "" elsewhere
	Comment string // begins with the owner's tag
	// Connections that matched since the element was added, in maps of ports; of what
	// was read alone. Adding an element starts at 0.
	Connections uint64
	Counted     bool   // Connections was read; kernels before 5.7 don't count
	text        string // "key : value" as nft prints it
}

// String is the nft(8) command that adds the element.
func (e Element) String() string {
	return fmt.Sprintf("nft add element %s %s %s { %s }", familyOf(e.Set), Table, e.Set, e.withComment())
}

// SameKey says whether both are the same place in the same set.
func (e Element) SameKey(o Element) bool { return e.Set == o.Set && bytes.Equal(e.Key, o.Key) }

// familyOf is the family of the table that has the set.
func familyOf(set string) string {
	if isLinkSet(set) {
		return "bridge"
	}
	return "inet"
}

func (e Element) withComment() string {
	key, value, isMap := strings.Cut(e.text, " : ")
	if e.Comment != "" {
		key += fmt.Sprintf(" comment %q", e.Comment)
	}
	if isMap {
		key += " : " + value
	}
	return key
}

// Name is the key as nft prints it, for messages.
func (e Element) Name() string {
	key, _, _ := strings.Cut(e.text, " : ")
	return e.Set + " { " + key + " }"
}

// Protocols that a port mapping may name, with their IP protocol numbers.
var protocols = []struct {
	name   string
	number uint8
}{{"tcp", unix.IPPROTO_TCP}, {"udp", unix.IPPROTO_UDP}, {"sctp", unix.IPPROTO_SCTP}}

// Protocol is the number of "tcp", "udp" or "sctp"; false for everything else.
func Protocol(name string) (uint8, bool) {
	for _, p := range protocols {
		if p.name == name {
			return p.number, true
		}
	}
	return 0, false
}

// ProtocolName is the opposite of Protocol; the number where it has no name.
func ProtocolName(number uint8) string {
	for _, p := range protocols {
		if p.number == number {
			return p.name
		}
	}
	return fmt.Sprint(number)
}

// HostPort forwards hostIP:port to a container. An invalid or unspecified hostIP
// means every local address of to's family.
func HostPort(hostIP netip.Addr, proto uint8, port uint16, to netip.AddrPort, comment string) Element {
	set, key, text := "anyport", []byte{}, ""
	if hostIP.IsValid() && !hostIP.IsUnspecified() {
		set, key, text = "hostport", hostIP.AsSlice(), hostIP.String()+" . "
	}
	key = append(key, proto, 0, 0, 0)
	key = append(key, padPort(port)...)
	return Element{
		Set: set + family(to.Addr()), Key: key,
		Value:   append(to.Addr().AsSlice(), padPort(to.Port())...),
		Comment: comment,
		text:    fmt.Sprintf("%s%s . %d : %s . %d", text, ProtocolName(proto), port, to.Addr(), to.Port()),
	}
}

func padPort(port uint16) []byte {
	return binary.BigEndian.AppendUint16(make([]byte, 0, 4), port)[:4:4]
}

// Forward is what an element of a port map says; false for other elements.
func (e Element) Forward() (proto uint8, port uint16, to netip.AddrPort, ok bool) {
	n := len(e.Value) - 4
	if (n != 4 && n != 16) || len(e.Key) < 8 {
		return 0, 0, to, false
	}
	addr, _ := netip.AddrFromSlice(e.Value[:n]) // 4 or 16 bytes, as just checked
	key := e.Key[len(e.Key)-8:]
	to = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(e.Value[n:]))
	return key[0], binary.BigEndian.Uint16(key[4:]), to, true
}

// HostIP is the host's address that a port's element is for; false where it is for all.
func (e Element) HostIP() (netip.Addr, bool) {
	if !strings.HasPrefix(e.Set, "hostport") || len(e.Key) < 8 {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(e.Key[:len(e.Key)-8])
}

// Masquerade sends new connections from a container's address through chain,
// which a MasqueradeChain names.
func Masquerade(from netip.Addr, chain, comment string) Element {
	return Element{
		Set: "masquerade" + family(from), Key: from.AsSlice(), Chain: chain, Comment: comment,
		text: fmt.Sprintf("%s : jump %s", from, chain),
	}
}

// ReplyPath sends forwarded connections to a container's address through chain,
// which a ReplyChain names.
func ReplyPath(to netip.Addr, chain, comment string) Element {
	return Element{
		Set: "snat" + family(to), Key: to.AsSlice(), Chain: chain, Comment: comment,
		text: fmt.Sprintf("%s : jump %s", to, chain),
	}
}

// Holder marks in set ("masqueraded" or "published") that the owner with this
// link name has elements, so that DEL can ask with a single look-up.
func Holder(set, linkName, comment string) Element {
	return Element{Set: set, Key: ifName(linkName), Comment: comment, text: fmt.Sprintf("%q", linkName)}
}

// ifNameSize is IFNAMSIZ, the key length of type ifname.
const ifNameSize = 16

// ifName is a link's name as the kernel compares it.
func ifName(name string) []byte {
	key := make([]byte, ifNameSize)
	copy(key, name)
	return key
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "4"
	}
	return "6"
}
