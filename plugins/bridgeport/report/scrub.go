package report

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/doctor"
)

// scrubber replaces addresses and names, each always by the same word, so that what
// belongs together can still be seen.
type scrubber struct {
	names *strings.Replacer
	seen  map[string]string
	count map[string]int
}

// address finds what may be an IPv4, IPv6 or MAC address.
var address = regexp.MustCompile(`(?i)\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b|\b(?:\d{1,3}\.){3}\d{1,3}\b|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}`)

func newScrubber(p *doctor.Patient) *scrubber {
	words := make(map[string]string)
	name := func(word, kind string) {
		if len(word) > 1 && words[word] == "" {
			words[word] = fmt.Sprintf("%s-%d", kind, len(words)+1)
		}
	}
	for _, a := range p.List {
		name(a.Container, "container")
		if ns, pod, ok := strings.Cut(a.Pod, "/"); ok {
			name(pod, "pod")
			name(ns, "namespace")
		}
	}
	for _, n := range p.Networks {
		name(n.Name, "network")
	}
	if host, err := os.Hostname(); err == nil {
		name(host, "host")
	}
	// Longer words first: one may begin with another.
	var list []string
	for _, word := range slices.SortedFunc(maps.Keys(words), func(a, b string) int { return len(b) - len(a) }) {
		list = append(list, word, words[word])
	}
	return &scrubber{names: strings.NewReplacer(list...), seen: make(map[string]string), count: make(map[string]int)}
}

func (s *scrubber) text(text string) string {
	return address.ReplaceAllStringFunc(s.names.Replace(text), func(word string) string {
		kind, plain := "ip4", false
		if strings.Count(word, ":") == 5 && len(word) == 17 {
			kind = "mac"
		} else {
			a, err := netip.ParseAddr(word)
			plain = err != nil || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast()
			if err == nil && !a.Is4() {
				kind = "ip6"
			}
		}
		if plain {
			return word
		}
		if s.seen[word] == "" {
			s.count[kind]++
			s.seen[word] = fmt.Sprintf("%s-%d", kind, s.count[kind])
		}
		return s.seen[word]
	})
}
