package iptables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Of linux/netfilter_ipv4/ip_tables.h; ip6_tables.h has the same numbers.
	getInfo    = 64
	getEntries = 65
	tableName  = 32 // XT_TABLE_MAXNAMELEN
	infoSize   = 84 // struct ipt_getinfo: name, hooks, 5 entries, 5 underflows, count, size
	headSize   = 40 // struct ipt_get_entries before the entries: name, size, padding
)

// LegacyHasChain reads the legacy table from the kernel and looks for the chain's name in it.
// LegacyInUse must be true before: the question loads the table's module.
//
// Reading executes nothing. iptables-legacy -S takes 1.6 ms for each family and call, 3.6 ms with
// 2,000 rules. CHECK, which takes about 4 ms, and STATUS would spend that twice in each call.
func (f Family) LegacyHasChain(table, chain string) (bool, error) {
	_, rules, err := f.legacyTable(table)
	return bytes.Contains(rules, append([]byte(chain), 0)), err
}

// legacyTable is struct ipt_getinfo of a table, and its rules.
func (f Family) legacyTable(name string) (info, rules []byte, err error) {
	family, level := unix.AF_INET, unix.IPPROTO_IP
	if f.IPv6 {
		family, level = unix.AF_INET6, unix.IPPROTO_IPV6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, nil, fmt.Errorf("legacy iptables: open socket: %w", err)
	}
	defer unix.Close(fd)
	for range 10 { // the table may grow between the two questions
		info := make([]byte, infoSize)
		copy(info, name)
		if err := getsockopt(fd, level, getInfo, info); err != nil {
			return nil, nil, fmt.Errorf("legacy iptables: read size of table %s: %w", name, err)
		}
		size := binary.NativeEndian.Uint32(info[infoSize-4:])
		blob := make([]byte, headSize+int(size))
		copy(blob, name)
		binary.NativeEndian.PutUint32(blob[tableName:], size)
		err := getsockopt(fd, level, getEntries, blob)
		if errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("legacy iptables: read table %s: %w", name, err)
		}
		return info, blob[headSize:], nil
	}
	return nil, nil, fmt.Errorf("legacy iptables: table %s keeps changing: %w", name, unix.EAGAIN)
}

// getsockopt is the raw system call: no wrapper takes a buffer of any size.
func getsockopt(fd, level, option int, buf []byte) error {
	n := uint32(len(buf))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Verdicts of the standard target (linux/netfilter/x_tables.h); one from 0 on is a place to jump to.
const (
	verdictDrop   = -1
	verdictAccept = -2
)

// layout is where a family's struct ipt_entry or ip6t_entry has its fields: the names of links,
// the protocol, and the end of the selector (struct ipt_ip).
type layout struct {
	links, protocol, invert, selector, offsets, size int
}

var (
	layout4 = layout{links: 16, protocol: 80, invert: 83, selector: 84, offsets: 88, size: 112}
	layout6 = layout{links: 64, protocol: 128, invert: 132, selector: 136, offsets: 140, size: 168}
)

const (
	linkName  = 16 // IFNAMSIZ
	targetLen = 32 // struct xt_entry_target and xt_entry_match before their data
)

// legacyRule is one rule of a legacy table.
type legacyRule struct {
	layout
	place   int
	data    []byte // the entry
	target  string // "" is the standard target, "ERROR" the head of a chain
	of      []byte // the target's data
	comment string
	matches int  // without comments
	stateOf bool // a match looks at the state of connections
}

// legacyRules reads the rules of a table. An entry that the kernel would not write ends the list.
func legacyRules(l layout, table []byte) (rules []legacyRule) {
	for place := 0; place+l.size <= len(table); {
		entry := table[place:]
		target := int(binary.NativeEndian.Uint16(entry[l.offsets:]))
		next := int(binary.NativeEndian.Uint16(entry[l.offsets+2:]))
		if target < l.size || next < target+targetLen || next > len(entry) {
			break
		}
		r := legacyRule{layout: l, place: place, data: entry[:next], target: text(entry[target+2 : target+31]), of: entry[target+targetLen : next]}
		for at := l.size; at+targetLen <= target; {
			n := int(binary.NativeEndian.Uint16(entry[at:]))
			if n < targetLen || at+n > target {
				return rules
			}
			r.add(text(entry[at+2:at+31]), entry[at+targetLen:at+n])
			at += n
		}
		rules = append(rules, r)
		place += next
	}
	return rules
}

// add notes a match.
func (r *legacyRule) add(name string, data []byte) {
	if name == "comment" {
		r.comment = text(data)
		return
	}
	r.matches++
	r.stateOf = r.stateOf || name == "conntrack" || name == "state"
}

// text ends at the first zero byte.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}

// verdict is of the standard target, false with any other.
func (r legacyRule) verdict() (int, bool) {
	if r.target != "" || len(r.of) < 4 {
		return 0, false
	}
	return int(int32(binary.NativeEndian.Uint32(r.of))), true
}

// unconditional says whether the rule matches every packet.
func (r legacyRule) unconditional() bool {
	return r.matches == 0 && len(bytes.Trim(r.data[:r.selector], "\x00")) == 0
}

// notFor says whether the rule can match no new connection from or to the bridge: it is for other
// links, for one protocol, or for a state.
func (r legacyRule) notFor(bridge string) bool {
	return r.stateOf || binary.NativeEndian.Uint16(r.data[r.protocol:]) != 0 || r.misses(0, bridge) || r.misses(1, bridge)
}

// misses compares the name of the link by which packets come in (0) or go out (1). The mask is zero
// where the rule has no name; it is longer for "br" than for "br+". A bit of the field invert, of
// the side's number, inverts the comparison (IPT_INV_VIA_IN, IPT_INV_VIA_OUT).
func (r legacyRule) misses(side int, bridge string) bool {
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
	inverted := r.data[r.invert]>>side&1 != 0
	return same == inverted
}
