package snapshot

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink/nl"
)

// nestedMask strips the bits for "nested" and "network byte order" from a number.
const nestedMask = 0x3fff

func parseAttrs(b []byte) (map[uint16][]byte, error) {
	list, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil, err
	}
	attrs := make(map[uint16][]byte, len(list))
	for _, a := range list {
		attrs[a.Attr.Type&nestedMask] = a.Value
	}
	return attrs, nil
}

func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

func asUint(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(nl.NativeEndian().Uint16(b))
	case 4:
		return uint64(nl.NativeEndian().Uint32(b))
	case 8:
		return nl.NativeEndian().Uint64(b)
	}
	return 0
}

func number(b []byte) string {
	if b == nil {
		return ""
	}
	return strconv.FormatUint(asUint(b), 10)
}

// words is "key value key value", without empty values.
type words []string

func (w *words) add(key, value string) {
	if value != "" {
		*w = append(*w, key+" "+value)
	}
}

func (w words) String() string { return strings.Join(w, " ") }

// options prints all attributes but the volatile ones, by name where one is known:
// an option that nobody thought of still shows.
func options(raw []byte, names map[uint16]string, volatile []uint16) string {
	attrs, err := parseAttrs(raw)
	if err != nil {
		return "unreadable: " + err.Error()
	}
	var list []string
	for t, v := range attrs {
		if slices.Contains(volatile, t) {
			continue
		}
		name := names[t]
		if name == "" {
			name = fmt.Sprintf("option%03d", t)
		}
		value := fmt.Sprintf("%x", v)
		if n := len(v); n == 1 || n == 2 || n == 4 || n == 8 {
			value = number(v)
		}
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

// IFLA_BR_* and IFLA_BRPORT_* of linux/if_link.h. Those without a name here are
// printed by number.
var (
	bridgeOptions = map[uint16]string{
		1: "forward-delay", 2: "hello-time", 3: "max-age", 4: "ageing-time", 5: "stp", 6: "priority",
		7: "vlan-filtering", 8: "vlan-protocol", 9: "group-fwd-mask", 20: "group-addr",
		22: "mcast-router", 23: "mcast-snooping", 25: "mcast-querier", 36: "nf-call-iptables",
		37: "nf-call-ip6tables", 38: "nf-call-arptables", 39: "vlan-default-pvid",
	}
	// Identities and timers of spanning tree, padding, querier state, count of learned entries.
	bridgeVolatile = []uint16{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 40, 47, 48}

	portOptions = map[uint16]string{
		2: "priority", 3: "cost", 4: "hairpin", 5: "guard", 6: "protect",
		7: "fast-leave", 8: "learning", 9: "unicast-flood", 10: "proxyarp", 25: "mcast-router",
		27: "mcast-flood", 28: "mcast-to-unicast", 29: "vlan-tunnel", 30: "bcast-flood",
		31: "group-fwd-mask", 32: "neigh-suppress", 33: "isolated", 39: "locked",
	}
	// The port's state follows the carrier; then spanning tree, timers, and counts of
	// hosts and groups.
	portVolatile = []uint16{1, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 38, 41}
)
