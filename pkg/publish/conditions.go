package publish

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// maxValues bounds how many values one condition compares with.
const maxValues = 16

// conditions translates the words of conditionsV4 or conditionsV6, which may be those of nft(8)
// or of iptables(8). The error names a word that it does not know.
func conditions(key string, list *[]string, is4 bool) ([]ruleset.Condition, error) {
	if list == nil {
		return nil, nil
	}
	r := &reader{key: key, is4: is4}
	if forIPTables(list) {
		r.words = *list
		return r.all(r.iptables)
	}
	// The reference hands the words to nft as one line.
	line := strings.NewReplacer("{", " { ", "}", " } ", ",", " , ").Replace(strings.Join(*list, " "))
	r.words = strings.Fields(line)
	return r.all(r.nft)
}

// reader takes words from the front.
type reader struct {
	key   string
	is4   bool
	words []string
}

func (r *reader) all(one func() (ruleset.Condition, bool, error)) ([]ruleset.Condition, error) {
	var list []ruleset.Condition
	for len(r.words) > 0 {
		c, isCondition, err := one()
		if err != nil {
			return nil, err
		}
		if n := len(c.Prefixes) + len(c.Names) + len(c.Marks); n > maxValues {
			return nil, fmt.Errorf("%s: a condition with %d values, at most %d are taken: use allowFrom for lists of clients", r.key, n, maxValues)
		}
		if isCondition {
			list = append(list, c)
		}
	}
	return list, nil
}

func (r *reader) next() string {
	if len(r.words) == 0 {
		return ""
	}
	word := r.words[0]
	r.words = r.words[1:]
	return word
}

// skip takes the next word if it is the given one.
func (r *reader) skip(word string) bool {
	if len(r.words) == 0 || r.words[0] != word {
		return false
	}
	r.words = r.words[1:]
	return true
}

func (r *reader) unknown(word string) error {
	if word == "" {
		return fmt.Errorf("%s: the last condition is not complete", r.key)
	}
	return fmt.Errorf("%s: condition %q is not one that the nftables backend knows: use iptables words and \"backend\": \"iptables\"", r.key, word)
}

// nftFields and iptablesFields are the words for what a condition compares.
var (
	nftFields = map[string]ruleset.Field{
		"ip saddr": ruleset.Source, "ip6 saddr": ruleset.Source, "ip daddr": ruleset.Destination, "ip6 daddr": ruleset.Destination,
		"iifname": ruleset.Interface, "mark": ruleset.Mark,
	}
	iptablesFields = map[string]ruleset.Field{
		"-s": ruleset.Source, "--source": ruleset.Source, "--src": ruleset.Source,
		"-d": ruleset.Destination, "--destination": ruleset.Destination, "--dst": ruleset.Destination,
		"-i": ruleset.Interface, "--in-interface": ruleset.Interface, "--mark": ruleset.Mark,
	}
)

// nft reads `ip saddr`, `ip6 daddr`, `iifname`, `meta iifname`, `mark` or `meta mark`,
// then == or != or nothing, then a value or { values }.
func (r *reader) nft() (c ruleset.Condition, isCondition bool, err error) {
	word := r.next()
	if word == "meta" {
		word = r.next()
	}
	if r.is4 && word == "ip" || !r.is4 && word == "ip6" {
		word = strings.TrimSpace(word + " " + r.next())
	}
	field, known := nftFields[word]
	if !known {
		return c, false, r.unknown(word)
	}
	c.Field = field
	if !r.skip("==") {
		c.Not = r.skip("!=")
	}
	values := []string{r.next()}
	if values[0] == "{" {
		values = values[:0]
		for !r.skip("}") {
			if len(r.words) == 0 {
				return c, false, fmt.Errorf("%s: { without }", r.key)
			}
			if word := r.next(); word != "," {
				values = append(values, word)
			}
		}
	}
	return c, true, r.take(&c, values)
}

// iptables reads [!] -s, -d or -i with its value, and -m mark [!] --mark.
func (r *reader) iptables() (c ruleset.Condition, isCondition bool, err error) {
	c.Not = r.skip("!")
	word := r.next()
	if word == "-m" || word == "--match" {
		module := r.next()
		if module != "mark" || c.Not {
			return c, false, r.unknown(strings.TrimSpace(word + " " + module))
		}
		return c, false, nil
	}
	field, known := iptablesFields[word]
	if !known {
		return c, false, r.unknown(word)
	}
	c.Field = field
	c.Not = c.Not || r.skip("!") // the place before iptables 1.4.3
	values := strings.Split(r.next(), ",")
	if c.Field == ruleset.Interface {
		values[0] = strings.Replace(values[0], "+", "*", 1)
	}
	return c, true, r.take(&c, values)
}

func (r *reader) take(c *ruleset.Condition, values []string) error {
	if len(values) == 0 {
		return r.unknown("{ }")
	}
	for _, text := range values {
		text = strings.Trim(text, `"`)
		switch c.Field {
		case ruleset.Source, ruleset.Destination:
			p, ok := prefix(text)
			if !ok || p.Addr().Is4() != r.is4 {
				return fmt.Errorf("%s: %q is no address or network of the family", r.key, text)
			}
			c.Prefixes = append(c.Prefixes, p)
		case ruleset.Interface:
			if !interfaceName(text) {
				return fmt.Errorf("%s: %q is not the name of an interface", r.key, text)
			}
			c.Names = append(c.Names, text)
		case ruleset.Mark:
			m, ok := mark(text)
			if !ok {
				return fmt.Errorf("%s: %q is not a mark", r.key, text)
			}
			c.Marks = append(c.Marks, m)
		}
	}
	return nil
}

// interfaceName says whether s may be a link's name (dev_valid_name). A * at the end stands
// for any rest of the name.
func interfaceName(s string) bool {
	s = strings.TrimSuffix(s, "*")
	return s != "" && len(s) <= 15 && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/:*"\`, r)
	})
}

// mark reads a number, with a mask behind / or without.
func mark(s string) (ruleset.MarkValue, bool) {
	numbers := []uint32{0, ^uint32(0)}
	parts := strings.Split(s, "/")
	if len(parts) > len(numbers) {
		return ruleset.MarkValue{}, false
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 0, 32)
		if err != nil {
			return ruleset.MarkValue{}, false
		}
		numbers[i] = uint32(n)
	}
	return ruleset.MarkValue{Value: numbers[0], Mask: numbers[1]}, true
}
