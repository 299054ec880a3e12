package differential

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	absent   = "absent"
	exists   = "exists"
	succeeds = "succeeds"
	fails    = "fails: "
	// field stands between a thing and its field in the key of a fact.
	field = "\x00"
)

// failed is the value of a call that failed. Messages are each side's own: two
// failures are equal.
func failed(message string) string { return fails + strings.Join(strings.Fields(message), " ") }

func unmarshal(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	return nil
}

// differences are the facts that the sides do not share, as "what: the reference
// has → we have". Of a thing that only one side has, the fields are not listed, and
// of a link neither the addresses, routes and settings.
func differences(reference, ours facts) []string {
	alone := append(lone(reference, ours), lone(ours, reference)...)
	var lines []string
	add := func(key, want, have string) {
		thing, name, isField := strings.Cut(key, field)
		if isField && reference[thing] != ours[thing] || slices.ContainsFunc(alone, func(l lonely) bool { return l.owns(key) }) {
			return
		}
		lines = append(lines, fmt.Sprintf("%s: %s → %s", strings.TrimSpace(thing+" "+name), flat(want), flat(have)))
	}
	for key, want := range reference {
		if _, ok := ours[key]; !ok {
			add(key, want, absent)
		}
	}
	for key, have := range ours {
		want, ok := reference[key]
		if !ok {
			want = absent
		}
		if want != have && !(strings.HasPrefix(want, fails) && strings.HasPrefix(have, fails)) {
			add(key, want, have)
		}
	}
	slices.Sort(lines)
	return lines
}

// lonely is a link that only one side has.
type lonely struct{ where, name string }

func lone(has, lacks facts) (list []lonely) {
	for key := range has {
		if _, ok := lacks[key]; ok || strings.Contains(key, field) {
			continue
		}
		if where, name, ok := strings.Cut(key, " link "); ok {
			list = append(list, lonely{where, name})
		}
	}
	return list
}

// owns says whether the fact is about something that comes and goes with the link.
func (l lonely) owns(key string) bool {
	rest, ok := strings.CutPrefix(key, l.where+" ")
	if !ok || strings.HasPrefix(rest, "link ") {
		return false
	}
	return strings.Contains(rest, " "+l.name+" ") || strings.Contains(rest, "/"+l.name+"/")
}

// flat puts a list on one line.
func flat(text string) string { return strings.ReplaceAll(text, "\n", " | ") }

// intended is the list of differences that are meant.
type intended struct {
	mu      sync.Mutex
	entries []*entry
}

// entry is one intended difference: why, in which configurations, and the lines it
// makes.
type entry struct {
	reason       string
	when, unless *regexp.Regexp
	needs        feature
	lines        []*line
}

type line struct {
	text    string
	pattern *regexp.Regexp
	used    bool
}

// readIntended reads the file: paragraphs of "# reason", optional "needs: ...", "when:
// regexp" and "unless: regexp" (of the configuration's name), and patterns of whole
// lines.
func readIntended(path string) (*intended, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	list := &intended{}
	var e *entry
	scanner := bufio.NewScanner(file)
	for n := 1; scanner.Scan(); n++ {
		text := scanner.Text()
		if text == "" {
			e = nil
			continue
		}
		if e == nil {
			e = &entry{}
			list.entries = append(list.entries, e)
		}
		if err := e.read(text); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	return list, scanner.Err()
}

func (e *entry) read(text string) (err error) {
	if reason, ok := strings.CutPrefix(text, "# "); ok {
		e.reason = strings.TrimSpace(e.reason + " " + reason)
		return nil
	}
	if e.reason == "" {
		return fmt.Errorf("%q has no reason above it", text)
	}
	if needs, ok := strings.CutPrefix(text, "needs: "); ok {
		e.needs = map[string]feature{"nft": nftProgram, "iptables": iptables, "vlan": vlanFiltering}[needs]
		if e.needs == anyMachine {
			return fmt.Errorf("needs: %q is none of nft, iptables, vlan", needs)
		}
		return nil
	}
	if when, ok := strings.CutPrefix(text, "when: "); ok {
		e.when, err = regexp.Compile(when)
		return err
	}
	if unless, ok := strings.CutPrefix(text, "unless: "); ok {
		e.unless, err = regexp.Compile(unless)
		return err
	}
	pattern, err := regexp.Compile("^(?:" + text + ")$")
	e.lines = append(e.lines, &line{text: text, pattern: pattern})
	return err
}

// explain says whether an entry stands for the difference.
func (l *intended) explain(configuration, difference string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := false
	for _, e := range l.entries {
		if e.when != nil && !e.when.MatchString(configuration) || e.unless != nil && e.unless.MatchString(configuration) {
			continue
		}
		for _, p := range e.lines {
			if p.pattern.MatchString(difference) {
				p.used, found = true, true
			}
		}
	}
	return found
}

// unused are the patterns that stood for nothing on a machine with these features.
// seen counts the entries of which at least one pattern stood for something.
func (l *intended) unused(have func(feature) bool) (seen int, lines []string) {
	for _, e := range l.entries {
		if !have(e.needs) {
			continue
		}
		if slices.ContainsFunc(e.lines, func(p *line) bool { return p.used }) {
			seen++
		}
		for _, p := range e.lines {
			if !p.used {
				lines = append(lines, p.text)
			}
		}
	}
	return seen, lines
}
