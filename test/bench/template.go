package main

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
)

// template is what the reference writes for one attachment, with marks in the place of
// its ID, address and ports. 900 real ADDs of the reference take minutes; this text
// gives the same rules at once, and says what "the same" is: rendered for a second real
// attachment, and for the last one that was made from it, it must be what the kernel has.
type template struct {
	ports int
	lines []ruleLine
}

// ruleLine is one line of a dump. chain is where an nft rule stands, "ip t c", and empty
// in iptables' format, whose lines name their chain.
type ruleLine struct{ chain, text string }

// tenant is what distinguishes attachments in rules.
type tenant struct {
	attachment
	addr netip.Addr
}

// marks are the tenant's own strings, longest first, with their mark in a template. The
// hashes are the reference's: utils.FormatChainName, MustFormatHashWithPrefix.
func (t tenant) marks() (pairs []string) {
	own := fmt.Sprintf("%x", sha512.Sum512([]byte(networkName+t.id())))
	instance := fmt.Sprintf("%x", sha512.Sum512([]byte("eth0:"+t.id())))
	pairs = append(pairs, t.id(), "{id}", own[:24], "{chain}", own[:21], "{chain-dn}", instance[:16], "{instance}", t.addr.String(), "{addr}")
	for i := range t.ports {
		pairs = append(pairs, fmt.Sprint(t.hostPort(i)), fmt.Sprintf("{port%d}", i))
	}
	return pairs
}

func (t tenant) owns(line string) bool {
	for i, s := range t.marks() {
		if i%2 == 0 && i < 8 && strings.Contains(line, s) {
			return true
		}
	}
	return false
}

// templateOf takes the tenant's lines out of a dump.
func templateOf(dump []ruleLine, t tenant) *template {
	tpl := &template{ports: t.ports}
	toMarks := strings.NewReplacer(t.marks()...)
	for _, l := range dump {
		if t.owns(l.text) {
			tpl.lines = append(tpl.lines, ruleLine{l.chain, toMarks.Replace(l.text)})
		}
	}
	return tpl
}

// same compares two templates; iptables-save sorts chains by name, so order counts
// only within a chain.
func (t *template) same(o *template) error {
	sorted := func(t *template) []string {
		var lines []string
		for _, l := range t.lines {
			lines = append(lines, l.chain+" | "+l.text)
		}
		slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(chainOf(a), chainOf(b)) })
		return lines
	}
	a, b := sorted(t), sorted(o)
	if len(a) == 0 {
		return errors.New("the reference wrote no rule that names its attachment")
	}
	if !slices.Equal(a, b) {
		return fmt.Errorf("rules differ:\n%s\n---\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	return nil
}

func chainOf(line string) string {
	fields := strings.Fields(line)
	if len(fields) > 1 && strings.HasPrefix(fields[1], ":") {
		return fields[1]
	}
	if i := slices.Index(fields, "-A"); i >= 0 && i+1 < len(fields) {
		return fields[i+1]
	}
	chain, _, _ := strings.Cut(line, " | ")
	return chain
}

// render is the input of iptables-restore or nft that adds the tenants' rules.
func (t *template) render(tenants []tenant) string {
	var chains, rules strings.Builder
	for _, who := range tenants {
		marks := who.marks()
		swapped := make([]string, 0, len(marks))
		for i := 0; i < len(marks); i += 2 {
			swapped = append(swapped, marks[i+1], marks[i])
		}
		fill := strings.NewReplacer(swapped...)
		for _, l := range t.lines {
			text := fill.Replace(l.text)
			switch {
			case l.chain != "":
				fmt.Fprintf(&rules, "add rule %s %s\n", l.chain, text)
			case strings.HasPrefix(text, ":"):
				chains.WriteString(text + "\n")
			default:
				rules.WriteString(text + "\n")
			}
		}
	}
	if chains.Len() == 0 {
		return rules.String()
	}
	return "*nat\n" + chains.String() + rules.String() + "COMMIT\n"
}

// dump is the host's rules, those of the backend that the variant uses.
func (h *host) dump() ([]ruleLine, error) {
	if h.backend == "nftables" {
		text, err := h.program("", "nft", "-s", "list", "ruleset")
		return nftLines(text), err
	}
	text, err := h.program("", "iptables-save", "-t", "nat")
	var lines []ruleLine
	for line := range strings.Lines(text) {
		lines = append(lines, ruleLine{text: strings.TrimSpace(line)})
	}
	return lines, err
}

func nftLines(text string) (lines []ruleLine) {
	var table, chain string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 4 && words[0] == "table":
			table = words[1] + " " + words[2]
		case len(words) == 3 && words[0] == "chain":
			chain = table + " " + words[1]
		default:
			lines = append(lines, ruleLine{chain, strings.TrimSpace(line)})
		}
	}
	return lines
}

// load adds the tenants' rules in one go.
func (h *host) load(t *template, tenants []tenant) error {
	input := t.render(tenants)
	var err error
	if h.backend == "nftables" {
		_, err = h.program(input, "nft", "-f", "-")
	} else {
		_, err = h.program(input, "iptables-restore", "--noflush")
	}
	return err
}

// program runs a program of the host's PATH in its namespace.
func (h *host) program(stdin, name string, args ...string) (string, error) {
	// env looks the name up in the PATH that it is given.
	cmd := exec.Command("/usr/bin/env", append([]string{"PATH=" + h.path, name}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out []byte
	err := h.space.Do(func() (err error) {
		out, err = cmd.Output()
		return err
	})
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w: %.500s", err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %s: %w", h.name, name, err)
	}
	return string(out), nil
}
