package lease

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
)

// Range is a run of addresses of one subnet.
type Range struct {
	Subnet     netip.Prefix
	Start, End netip.Addr // both may be handed out
	Gateway    netip.Addr // never handed out
}

// RangeSet is ranges of one family; an attachment gets one address from it.
type RangeSet []Range

func parseSet(key string, ws []wireRange) (RangeSet, error) {
	if len(ws) == 0 {
		return nil, fmt.Errorf("%s: empty: a set needs at least one {\"subnet\": ...}", key)
	}
	var set RangeSet
	for i, w := range ws {
		name := key
		if key != "ipam" { // the old style has no list
			name = fmt.Sprintf("%s[%d]", key, i)
		}
		r, err := parseRange(name, w)
		if err != nil {
			return nil, err
		}
		if len(set) > 0 && set[0].Subnet.Addr().Is4() != r.Subnet.Addr().Is4() {
			return nil, fmt.Errorf("%s: mixes IPv4 and IPv6: give each family a set of its own", key)
		}
		for _, other := range set {
			if other.overlaps(r) {
				return nil, fmt.Errorf("%s: %s overlaps with %s", name, r, other)
			}
		}
		set = append(set, r)
	}
	return set, nil
}

var linkLocal = netip.MustParsePrefix("fe80::/10")

func parseRange(key string, w wireRange) (Range, error) {
	subnet, err := netip.ParsePrefix(w.Subnet)
	if err != nil || subnet.Addr().Is4In6() {
		return Range{}, fmt.Errorf("%s.subnet: %q is not a CIDR such as 10.88.0.0/16", key, w.Subnet)
	}
	if subnet.Masked() != subnet {
		return Range{}, fmt.Errorf("%s.subnet: %s has host bits set, the network is %s", key, subnet, subnet.Masked())
	}
	if subnet.Addr().BitLen()-subnet.Bits() < 2 {
		return Range{}, fmt.Errorf("%s.subnet: %s is too small: it needs room for a gateway and a container (/30, /126 or shorter)", key, subnet)
	}
	r := Range{Subnet: subnet, Start: subnet.Addr().Next(), End: lastUsable(subnet)}
	r.Gateway = r.Start
	for _, f := range []struct {
		name, text string
		into       *netip.Addr
	}{{"rangeStart", w.RangeStart, &r.Start}, {"rangeEnd", w.RangeEnd, &r.End}, {"gateway", w.Gateway, &r.Gateway}} {
		if f.text == "" {
			continue
		}
		a, err := netip.ParseAddr(f.text)
		if err != nil {
			return Range{}, fmt.Errorf("%s.%s: %q is not an IP address", key, f.name, f.text)
		}
		// An IPv6 router has a link-local address on each link, whatever the link's subnets are.
		router := f.into == &r.Gateway && subnet.Addr().Is6() && linkLocal.Contains(a)
		if !router && !subnet.Contains(a.Unmap()) {
			return Range{}, fmt.Errorf("%s.%s: %s is outside the subnet %s", key, f.name, a, subnet)
		}
		*f.into = a.Unmap()
	}
	if r.End.Less(r.Start) {
		return Range{}, fmt.Errorf("%s.rangeEnd: %s lies before rangeStart %s", key, r.End, r.Start)
	}
	return r, nil
}

// lastUsable is the last address of an IPv6 subnet, or the one before IPv4's broadcast.
func lastUsable(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < p.Addr().BitLen(); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	if last.Is4() {
		return last.Prev()
	}
	return last
}

func (r Range) contains(a netip.Addr) bool {
	return !a.Less(r.Start) && !r.End.Less(a) && a.Is4() == r.Start.Is4()
}

func (r Range) overlaps(o Range) bool { return r.contains(o.Start) || o.contains(r.Start) }

func (r Range) String() string { return fmt.Sprintf("%s-%s", r.Start, r.End) }

func (s RangeSet) String() string {
	var texts []string
	for _, r := range s {
		texts = append(texts, fmt.Sprintf("%s of %s", r, r.Subnet))
	}
	return strings.Join(texts, ", ")
}

func (s RangeSet) overlaps(o RangeSet) bool {
	return slices.ContainsFunc(s, func(r Range) bool { return slices.ContainsFunc(o, r.overlaps) })
}

// find is the range that a is in, nil if none.
func (s RangeSet) find(a netip.Addr) *Range {
	for i := range s {
		if s[i].contains(a) {
			return &s[i]
		}
	}
	return nil
}

func (s RangeSet) inSubnet(a netip.Addr) bool {
	return slices.ContainsFunc(s, func(r Range) bool { return r.Subnet.Contains(a) })
}

func (s RangeSet) isGateway(a netip.Addr) bool {
	return slices.ContainsFunc(s, func(r Range) bool { return r.Gateway == a })
}

// after yields each address of the set once, without gateways, in round-robin order. It
// begins behind last, or with the set's first address if last is invalid or outside the set.
func (s RangeSet) after(last netip.Addr) iter.Seq2[netip.Addr, *Range] {
	first := max(0, slices.IndexFunc(s, func(r Range) bool { return r.contains(last) }))
	inside := s[first].contains(last)
	return func(yield func(netip.Addr, *Range) bool) {
		for i := range len(s) + 1 {
			r := &s[(first+i)%len(s)]
			from, to := r.Start, r.End
			switch {
			case i == 0 && inside:
				from = last.Next()
			case i == len(s) && inside:
				to = last
			case i == len(s):
				return
			}
			for a := from; a.IsValid() && !to.Less(a); a = a.Next() {
				if !s.isGateway(a) && !yield(a, r) {
					return
				}
			}
		}
	}
}

// Room is how many addresses the set may hand out.
func (s RangeSet) Room() float64 {
	n := 0.0
	for _, r := range s {
		n += count(r.Start, r.End)
		if r.contains(r.Gateway) {
			n--
		}
	}
	return n
}

func (s RangeSet) contains(a netip.Addr) bool { return s.find(a) != nil }

// Has says whether the address is one that the set may hand out.
func (s RangeSet) Has(a netip.Addr) bool { return s.contains(a) && !s.isGateway(a) }

// count is the number of addresses from a to b, rounded as floats are.
func count(a, b netip.Addr) float64 {
	n := 0.0
	x, y := a.As16(), b.As16()
	for i := range x {
		n = n*256 + float64(y[i]) - float64(x[i])
	}
	return n + 1
}
