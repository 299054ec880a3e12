package nft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// literal is a look-up in a set that stands in its rule and goes with the rule:
// { 10.0.0.0/8, 192.0.2.1 }. The kernel calls such a set anonymous.
type literal struct {
	*expr.Lookup
	spans []span
}

// span is values of a field from the first to the last, both included.
type span struct{ first, last []byte }

// spanOf is the addresses of a prefix.
func spanOf(p netip.Prefix) span {
	first := p.Masked().Addr().AsSlice()
	last := bytes.Clone(first)
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	return span{first, last}
}

// String is the span as nft(8) prints it: 10.0.0.0/8, 10.0.0.1, 8000-8999.
func (s span) String() string {
	if len(s.first) == 2 {
		text := fmt.Sprint(binary.BigEndian.Uint16(s.first))
		if !bytes.Equal(s.first, s.last) {
			text += fmt.Sprint("-", binary.BigEndian.Uint16(s.last))
		}
		return text
	}
	if p, is := s.prefix(); is {
		return PrefixText(p)
	}
	first, _ := netip.AddrFromSlice(s.first)
	last, _ := netip.AddrFromSlice(s.last)
	return first.String() + "-" + last.String()
}

// prefix is the span of addresses as a prefix, where it is one.
func (s span) prefix() (p netip.Prefix, is bool) {
	first, _ := netip.AddrFromSlice(s.first)
	bits := 0 // that first and last have in common
	for bits < len(s.first)*8 && (s.first[bits/8]^s.last[bits/8])>>(7-bits%8)&1 == 0 {
		bits++
	}
	p = netip.PrefixFrom(first, bits)
	return p, p.Masked().Addr() == first && bytes.Equal(spanOf(p).last, s.last)
}

// PrefixText is a prefix as nft(8) prints it: a single address without its length.
func PrefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.Masked().String()
}

// merged is the spans in order, those that overlap or touch as one: the kernel refuses the first in one
// set, and gives the others back without the end between them.
func merged(list []span) (spans []span) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b span) int { return bytes.Compare(a.first, b.first) })
	for _, s := range list {
		if n := len(spans) - 1; n >= 0 && (bytes.Compare(s.first, spans[n].last) <= 0 || bytes.Equal(next(spans[n].last), s.first)) {
			spans[n].last = slices.MaxFunc([][]byte{spans[n].last, s.last}, bytes.Compare)
			continue
		}
		spans = append(spans, s)
	}
	return spans
}

// among compares a field, which load puts into register 1, with spans. It is text and expressions of
// the rule. nft(8) makes no set for a single span, and neither does among.
func among(load expr.Any, list []span) (string, []expr.Any) {
	spans := merged(list)
	if len(spans) > 1 {
		l := &literal{Lookup: &expr.Lookup{SourceRegister: reg1}, spans: spans}
		return l.String(), []expr.Any{load, l}
	}
	s := spans[0]
	if bytes.Equal(s.first, s.last) {
		return s.String(), []expr.Any{load, equals(s.first)}
	}
	return s.String(), []expr.Any{
		load,
		&expr.Cmp{Op: expr.CmpOpGte, Register: reg1, Data: s.first}, &expr.Cmp{Op: expr.CmpOpLte, Register: reg1, Data: s.last},
	}
}

// String is the set as nft(8) prints it.
func (l *literal) String() string {
	var texts []string
	for _, s := range l.spans {
		texts = append(texts, s.String())
	}
	return "{ " + strings.Join(texts, ", ") + " }"
}

// ranges says whether the kernel has to keep intervals. nft(8) does not for single values.
func (l *literal) ranges() bool {
	return slices.ContainsFunc(l.spans, func(s span) bool { return !bytes.Equal(s.first, s.last) })
}

// elements are the spans as the kernel has them: single values, or where each begins and has ended.
func (l *literal) elements() (list []nftables.SetElement) {
	ranges := l.ranges()
	for _, s := range l.spans {
		list = append(list, nftables.SetElement{Key: s.first})
		if end := next(s.last); end != nil && ranges {
			list = append(list, nftables.SetElement{Key: end, IntervalEnd: true})
		}
	}
	return list
}

// next is the value behind; nil behind the last one.
func next(value []byte) []byte {
	value = bytes.Clone(value)
	for i := len(value) - 1; i >= 0; i-- {
		if value[i]++; value[i] != 0 {
			return value
		}
	}
	return nil
}

// read puts the elements of the kernel's set into the literal.
func (l *literal) read(list []nftables.SetElement) {
	slices.SortStableFunc(list, ByKey)
	single := !slices.ContainsFunc(list, func(e nftables.SetElement) bool { return e.IntervalEnd })
	open := false
	for _, e := range list {
		switch {
		case single:
			l.spans = append(l.spans, span{e.Key, e.Key})
		case !e.IntervalEnd && open: // where the one before ends as well
		case !e.IntervalEnd:
			l.spans, open = append(l.spans, span{e.Key, bytes.Repeat([]byte{0xff}, len(e.Key))}), true
		case open: // nft(8) closes what was never opened, too
			l.spans[len(l.spans)-1].last, open = before(e.Key), false
		}
	}
	l.spans = merged(l.spans)
}

// ByKey orders elements of intervals. Where one ends, the next may begin.
func ByKey(a, b nftables.SetElement) int {
	order := bytes.Compare(a.Key, b.Key)
	switch {
	case order != 0 || a.IntervalEnd == b.IntervalEnd:
		return order
	case a.IntervalEnd:
		return -1
	}
	return 1
}

// before is the value before another that is not 0.
func before(value []byte) []byte {
	value = bytes.Clone(value)
	for i := len(value) - 1; i >= 0; i-- {
		if value[i]--; value[i] != 0xff {
			break
		}
	}
	return value
}

// kindOf is the library's type of a field by its length in bytes.
func kindOf(size int) nftables.SetDatatype {
	switch size {
	case 2:
		return nftables.TypeInetService
	case 4:
		return nftables.TypeIPAddr
	}
	return nftables.TypeIP6Addr
}

// NamesPrefix begins the names of the sets that a resolver, or an operator, fills with addresses. The
// rules that look into such a set make it. Tidy deletes it where no rule does.
const NamesPrefix = "names-"

// NamesTimeout is how long an address stays in a set of names after a container has used it last, if it
// was added without a timeout.
const NamesTimeout = 24 * time.Hour

// NamesSet is the name of the set with the addresses of one family that belong to a word.
func NamesSet(word string, is4 bool) string {
	if is4 {
		return NamesPrefix + word + "4"
	}
	return NamesPrefix + word + "6"
}

// namesSet is a set of names by its name. There are as many as words, so it is no row of the table of sets.
func namesSet(name string) Set {
	return Set{
		Name: name, Place: InEgress, Key: addressType(strings.HasSuffix(name, "4")), Size: 65535, Timeout: NamesTimeout,
		Comment: "addresses that names were resolved to",
	}
}

// Named says whether a set of names has an address.
func (c *Conn) Named(word string) (bool, error) {
	for _, is4 := range []bool{true, false} {
		list, err := c.nl.GetSetElements(namesSet(NamesSet(word, is4)).in(c.tables[Inet]))
		if err != nil && !errors.Is(err, unix.ENOENT) || len(list) > 0 {
			return len(list) > 0, err
		}
	}
	return false, nil
}

// names are the nft(8) commands that make the sets of names into which the rule looks.
func (r Rule) names() (commands []string) {
	for _, e := range r.exprs {
		if l, ok := e.(*expr.Lookup); ok && strings.HasPrefix(l.SetName, NamesPrefix) {
			commands = append(commands, namesSet(l.SetName).String())
		}
	}
	return commands
}

// withSets gives look-ups the number of their set, a new set's only name in its transaction, and
// queues the sets that stand in rules.
func (c *Conn) withSets(t *nftables.Table, exprs []expr.Any) ([]expr.Any, error) {
	list := slices.Clone(exprs)
	for i, e := range list {
		switch e := e.(type) {
		case *literal:
			set := &nftables.Set{Table: t, Anonymous: true, Constant: true, Interval: e.ranges(), KeyType: kindOf(len(e.spans[0].first))}
			if err := c.nl.AddSet(set, e.elements()); err != nil {
				return nil, fmt.Errorf("rules: set %s: %w", e, err)
			}
			list[i] = &expr.Lookup{SourceRegister: e.SourceRegister, SetName: set.Name, SetID: set.ID}
		case *expr.Lookup:
			set := c.sets[e.SetName]
			if set == nil {
				set = namesSet(e.SetName).in(t)
				if err := c.nl.AddSet(set, nil); err != nil {
					return nil, fmt.Errorf("rules: set %s: %w", e.SetName, err)
				}
			}
			e.SetID = set.ID
		case *expr.Dynset:
			if set := c.sets[e.SetName]; set != nil {
				e.SetID = set.ID
			} // a set of names: the look-up before it has made it
		}
	}
	return list, nil
}

// literals reads the sets that stand in rules which were read.
func (c *Conn) literals(t *nftables.Table, rules []kernelRule) error {
	for _, r := range rules {
		for i, e := range r.exprs {
			l, ok := e.(*expr.Lookup)
			if !ok || !strings.HasPrefix(l.SetName, "__set") {
				continue
			}
			list, err := c.nl.GetSetElements(&nftables.Set{Table: t, Name: l.SetName})
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("rules: list %s: %w", l.SetName, err)
			}
			in := &literal{Lookup: l}
			in.read(list)
			r.exprs[i] = in
		}
	}
	return nil
}
