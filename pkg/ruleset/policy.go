package ruleset

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"golang.org/x/sys/unix"
)

// Policy says where a container may send.
type Policy struct {
	Deny  bool // what no list names
	First []Entry
	Then  []Entry // First are exceptions from these; both are what the default is not, in turn
}

// Entry is where packets go, of a list.
type Entry struct {
	To       []netip.Prefix
	Host     bool   // the host's own addresses, whichever they are
	Names    string // the word of a set that is filled by names; "" for none
	Protocol uint8  // 0 for all; 1 is ICMP of either family
	Ports    []nft.PortRange
}

// Lines are the policy for people, a rule each, in the order in which they are asked.
func (p Policy) Lines() (lines []string) {
	first, then := "allow ", "deny "
	if p.Deny {
		first, then = then, first
	}
	for _, d := range p.First {
		lines = append(lines, first+d.String())
	}
	for _, d := range p.Then {
		lines = append(lines, then+d.String())
	}
	return append(lines, first+"all else")
}

// String is the entry for people: "192.0.2.0/24 tcp 443, 8000-8999".
func (d Entry) String() string {
	var to []string
	for _, p := range d.To {
		to = append(to, nft.PrefixText(p))
	}
	if d.Host {
		to = append(to, "host")
	}
	if d.Names != "" {
		to = append(to, "@"+d.Names)
	}
	text := strings.Join(to, ", ")
	switch d.Protocol {
	case 0:
	case unix.IPPROTO_ICMP:
		text += " icmp"
	default:
		text += " " + hostport.ProtocolName(d.Protocol)
	}
	for i, p := range d.Ports {
		if i > 0 {
			text += ","
		}
		text += " " + p.String()
	}
	return text
}

// egressForm is another number for each form of the rules that follow from a Policy: the chains of an
// earlier release have other names.
const egressForm = 1

// source is all that the rules follow from. No two policies have the same.
func (p Policy) source(near []netip.Prefix) []byte {
	data := binary.AppendUvarint(make([]byte, 0, 64+24*(len(p.First)+len(p.Then))), egressForm)
	number := func(n int) { data = binary.AppendUvarint(data, uint64(n)) }
	flag := func(is bool) { data = strconv.AppendBool(data, is) }
	prefixes := func(list []netip.Prefix) {
		number(len(list))
		for _, a := range list {
			raw := a.Addr().AsSlice()
			number(len(raw))
			data = append(data, raw...)
			number(a.Bits())
		}
	}
	prefixes(near)
	flag(p.Deny)
	for _, list := range [][]Entry{p.First, p.Then} {
		number(len(list))
		for _, d := range list {
			prefixes(d.To)
			flag(d.Host)
			number(len(d.Names))
			data = append(data, d.Names...)
			number(int(d.Protocol))
			number(len(d.Ports))
			for _, r := range d.Ports {
				number(int(r.First))
				number(int(r.Last))
			}
		}
	}
	return data
}
