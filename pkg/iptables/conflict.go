package iptables

import (
	"fmt"
	"slices"
	"strings"
)

// HeldError says that another container has the port.
type HeldError struct {
	Port   Port
	Holder string // the comment of its rule
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("port %d/%s is held by %s", e.Port.HostPort, e.Port.Protocol, e.Holder)
}

// conflict looks for another container's rules for one of the ports. The entry rules
// tell protocol and ports, the container's chain the host's address.
func (p Ports) conflict(f Family, top []string) error {
	chains := make(map[string][]string)
	for _, line := range top {
		words := strings.Fields(line)
		chain := words[len(words)-1]
		if chain == p.Chain() || !strings.HasPrefix(chain, "CNI-DN-") {
			continue
		}
		for _, port := range p.of(f.IPv6) {
			if !slices.Contains(words, port.Protocol) || !slices.Contains(strings.Split(after(words, "--dports"), ","), fmt.Sprint(port.HostPort)) {
				continue
			}
			if chains[chain] == nil {
				lines, err := f.List(chain)
				if err != nil {
					return err
				}
				chains[chain] = lines
			}
			if port.in(chains[chain]) {
				return &HeldError{port, holder(line)}
			}
		}
	}
	return nil
}

// in says whether one of the lines leads the same port of the same address.
func (p Port) in(lines []string) bool {
	dest := ""
	if p.HostIP.IsValid() && !p.HostIP.IsUnspecified() {
		dest = p.HostIP.String()
	}
	for _, line := range lines {
		words := strings.Fields(line)
		have, _, _ := strings.Cut(after(words, "-d"), "/")
		if slices.Contains(words, "DNAT") && slices.Contains(words, p.Protocol) &&
			after(words, "--dport") == fmt.Sprint(p.HostPort) && have == dest {
			return true
		}
	}
	return false
}

// after is the word behind another; "" if there is none.
func after(words []string, name string) string {
	i := slices.Index(words, name)
	if i < 0 || i+1 >= len(words) {
		return ""
	}
	return words[i+1]
}

// holder is the rule's comment without its quotes.
func holder(line string) string {
	_, text, _ := strings.Cut(line, `--comment "`)
	text, _, _ = strings.Cut(text, `" -m multiport`)
	return strings.ReplaceAll(text, `\"`, `"`)
}
