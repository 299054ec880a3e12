package publish

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// conditionsText is the conditions in short; "" without any.
func conditionsText(title string, list []ruleset.Condition) string {
	if len(list) == 0 {
		return ""
	}
	text := title
	for _, c := range list {
		sign := map[bool]string{true: "!", false: ""}[c.Not]
		field := []string{"source", "destination", "interface", "mark"}[c.Field]
		text += " " + sign + field
		for _, p := range c.Prefixes {
			text += " " + p.String()
		}
		for _, n := range c.Names {
			text += " " + n
		}
		for _, m := range c.Marks {
			text += fmt.Sprintf(" %#x/%#x", m.Value, m.Mask)
		}
	}
	return text
}

// TestConditions: both languages, and each word of them that is known.
func TestConditions(t *testing.T) {
	tests := []struct{ v4, v6, want string }{
		{"ip saddr 192.0.2.0/24", "", " V4 source 192.0.2.0/24"},
		{"ip saddr != { 192.0.2.0/24, 198.51.100.7 } ip daddr 203.0.113.2", "", " V4 !source 192.0.2.0/24 198.51.100.7/32 destination 203.0.113.2/32"},
		{"ip saddr {192.0.2.0/24,198.51.100.7}", "", " V4 source 192.0.2.0/24 198.51.100.7/32"},
		{`meta iifname == "eth0"`, "iifname != { eth0, br* }", " V4 interface eth0 V6 !interface eth0 br*"},
		{"mark 7 meta mark != 0x4000/0xffff", "", " V4 mark 0x7/0xffffffff !mark 0x4000/0xffff"},
		{"", "ip6 saddr fd00::/8", " V6 source fd00::/8"},
		{"-s 192.0.2.0/24,198.51.100.7 ! -d 203.0.113.2 -i eth+", "", " V4 source 192.0.2.0/24 198.51.100.7/32 !destination 203.0.113.2/32 interface eth*"},
		{"--source 192.0.2.0/24 --destination 203.0.113.2 --in-interface eth0", "! --src fd00::/8 --dst fd01::1", " V4 source 192.0.2.0/24 destination 203.0.113.2/32 interface eth0 V6 !source fd00::/8 destination fd01::1/128"},
		{"-m mark ! --mark 1/0xff", "! -m mark --mark 1", ""},
		{"-m mark ! --mark 1/0xff", "", " V4 !mark 0x1/0xff"},
	}
	for _, tt := range tests {
		four, six := strings.Fields(tt.v4), strings.Fields(tt.v6)
		c4, err4 := conditions("conditionsV4", &four, true)
		c6, err6 := conditions("conditionsV6", &six, false)
		if err := errors.Join(err4, err6); (err != nil) != (tt.want == "") {
			t.Errorf("%s: %v", tt.v4, err)
			continue
		}
		if got := conditionsText(" V4", c4) + conditionsText(" V6", c6); tt.want != "" && got != tt.want {
			t.Errorf("%s, %s:\ngot  %s\nwant %s", tt.v4, tt.v6, got, tt.want)
		}
	}
}

// TestConditionsErrors: what is not understood is named, and where it stands.
func TestConditionsErrors(t *testing.T) {
	const use = ` is not one that the nftables backend knows: use iptables words and "backend": "iptables"`
	for line, want := range map[string]string{
		"ct state new":              `condition "ct"` + use,
		"meta l4proto tcp":          `condition "l4proto"` + use,
		"ip ttl 1":                  `condition "ip ttl"` + use,
		"ip6 saddr ::1":             `condition "ip6"` + use,
		"ip saddr 192.0.2.0/24 foo": `condition "foo"` + use,
		"ip saddr { 192.0.2.0/24":   "{ without }",
		"ip saddr { }":              `condition "{ }"` + use,
		"ip saddr":                  `"" is no address or network of the family`,
		"ip saddr ::1":              `"::1" is no address or network of the family`,
		"ip saddr @vips":            `"@vips" is no address or network of the family`,
		"iifname a/b":               `"a/b" is not the name of an interface`,
		"iifname":                   `"" is not the name of an interface`,
		"mark x":                    `"x" is not a mark`,
		"mark 1/2/3":                `"1/2/3" is not a mark`,
		"-i":                        `"" is not the name of an interface`,
		"-s 192.0.2.0/24 -p tcp":    `condition "-p"` + use,
		"-m":                        `condition "-m"` + use,
		"!":                         "the last condition is not complete",
		"iifname { " + strings.Repeat("eth0, ", 17) + "}": "a condition with 17 values, at most 16 are taken: use allowFrom for lists of clients",
	} {
		words := strings.Fields(line)
		_, err := conditions("conditionsV4", &words, true)
		if err == nil || err.Error() != "conditionsV4: "+want {
			t.Errorf("%s: got  %v\nwant conditionsV4: %s", line, err, want)
		}
	}
}

// FuzzConditions: whatever the words are, there is no panic and each error names the key.
func FuzzConditions(f *testing.F) {
	for _, seed := range []string{"ip saddr != { 1.2.3.4, 5.6.7.8 }", "! -s 1.2.3.4/8 -m mark --mark 1/2", "meta iifname \"a*\"", "{ } !"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Split(line, " ")
		list, err := conditions("conditionsV4", &words, true)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "conditionsV4: ") {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		ruleset.GateChain("net", ruleset.Gate{Conditions: list})
	})
}
