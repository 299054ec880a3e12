package iptables

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Verdicts of the standard target (linux/netfilter/x_tables.h); others from 0 are the
// places that the rule jumps to.
const (
	verdictDrop   = -1
	verdictAccept = -2
)

// layout is where a family's struct ipt_entry or ip6t_entry has its fields: selector
// (struct ipt_ip), in which the names of links and protocol, and the matches behind all.
type layout struct {
	links, protocol, invert, selector, offsets, size int
}

var (
	layout4 = layout{links: 16, protocol: 80, invert: 83, selector: 84, offsets: 88, size: 112}
	layout6 = layout{links: 64, protocol: 128, invert: 132, selector: 136, offsets: 140, size: 168}
)

const (
	linkName  = 16   // IFNAMSIZ
	invertIn  = 0x01 // IPT_INV_VIA_IN
	invertOut = 0x02 // IPT_INV_VIA_OUT
	targetLen = 32   // struct xt_entry_target and xt_entry_match before their data
)

// legacyRule is one rule of a legacy table.
type legacyRule struct {
	layout
	place   int
	data    []byte // the entry
	matches []legacyPart
	target  legacyPart
}

// legacyPart is a match or the target.
type legacyPart struct {
	name string
	data []byte
}

// legacyRules takes a table apart. What is not as the kernel writes it ends the list.
func legacyRules(l layout, table []byte) (rules []legacyRule) {
	for place := 0; place+l.size <= len(table); {
		entry := table[place:]
		target := int(binary.NativeEndian.Uint16(entry[l.offsets:]))
		next := int(binary.NativeEndian.Uint16(entry[l.offsets+2:]))
		if target < l.size || next < target+targetLen || next > len(entry) {
			break
		}
		r := legacyRule{layout: l, place: place, data: entry[:next], target: part(entry[target:next])}
		for at := l.size; at+targetLen <= target; {
			n := int(binary.NativeEndian.Uint16(entry[at:]))
			if n < targetLen || at+n > target {
				return rules
			}
			r.matches = append(r.matches, part(entry[at:at+n]))
			at += n
		}
		rules = append(rules, r)
		place += next
	}
	return rules
}

func part(b []byte) legacyPart {
	return legacyPart{name: text(b[2:31]), data: b[targetLen:]}
}

// text ends at the first zero byte.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// verdict is of the standard target, false with any other.
func (r legacyRule) verdict() (int, bool) {
	if r.target.name != "" || len(r.target.data) < 4 {
		return 0, false
	}
	return int(int32(binary.NativeEndian.Uint32(r.target.data))), true
}

// unconditional says whether the rule matches every packet.
func (r legacyRule) unconditional() bool {
	return !slices.ContainsFunc(r.data[:r.selector], func(b byte) bool { return b != 0 }) &&
		!slices.ContainsFunc(r.matches, func(m legacyPart) bool { return m.name != "comment" })
}

// comment is the text of its comment match.
func (r legacyRule) comment() string {
	for _, m := range r.matches {
		if m.name == "comment" {
			return text(m.data)
		}
	}
	return ""
}

// notFor says whether the rule can't match a new connection from the bridge, nor one to
// it: it is for other links, one protocol, or a state.
func (r legacyRule) notFor(bridge string) bool {
	invert := r.data[r.invert]
	if r.elsewhere(0, invert&invertIn != 0, bridge) || r.elsewhere(1, invert&invertOut != 0, bridge) {
		return true
	}
	return binary.NativeEndian.Uint16(r.data[r.protocol:]) != 0 ||
		slices.ContainsFunc(r.matches, func(m legacyPart) bool { return m.name == "conntrack" || m.name == "state" })
}

// elsewhere compares the name of the link that packets come in (0) or go out by (1). Its
// mask is zero where the rule names none, and tells "br+" from "br".
func (r legacyRule) elsewhere(side int, inverted bool, bridge string) bool {
	name := r.data[r.links+side*linkName:][:linkName]
	mask := r.data[r.links+(2+side)*linkName:][:linkName]
	if mask[0] == 0 {
		return false
	}
	same := true
	padded := append([]byte(bridge), make([]byte, linkName)...)
	for i := range linkName {
		same = same && (padded[i]^name[i])&mask[i] == 0
	}
	return same == inverted
}
