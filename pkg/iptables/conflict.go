package iptables

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
)

// HeldError says that another container has the port.
type HeldError struct {
	Port        hostport.Mapping
	Network     string // of the holder; "" where its rule does not say
	ContainerID string
	Rule        string // the comment of its rule
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("port %s is held by %s", e.Port, e.Rule)
}

// EntryChain jumps to the chains of all containers with published ports.
const EntryChain = topDNAT

// Free is nil if no other container has one of the ports. It removes the rules of containers that
// are gone. It is for a backend whose rules come after those of iptables.
func (p Ports) Free(f Family) error {
	_, lines, err := p.conflict(f)
	if err != nil {
		return err
	}
	return f.Restore(lines)
}

// conflict looks for another container's rules for one of the ports. The entry rules have protocol
// and ports, the container's chain has the host's address. It returns the entry rules, and the
// lines that remove the rules of containers that are gone.
func (p Ports) conflict(f Family) (top, lines []string, err error) {
	if top, err = f.list("nat", topDNAT); err != nil {
		return nil, nil, err
	}
	chains := make(map[string][]string) // those that have been looked at
	for _, line := range top {
		words := strings.Fields(line)
		chain := words[len(words)-1]
		if chain == p.Chain() || !strings.HasPrefix(chain, portsPrefix) {
			continue
		}
		for _, port := range p.of(f.IPv6) {
			if !slices.Contains(words, port.protocol()) || !port.overlaps(strings.Split(after(words, "--dports"), ",")) {
				continue
			}
			if _, known := chains[chain]; !known {
				if chains[chain], err = f.list("nat", chain); err != nil {
					return nil, nil, err
				}
			}
			target, found := port.in(chains[chain])
			if !found {
				continue
			}
			held := &HeldError{Port: port.Mapping, Rule: holder(line)}
			held.Network, held.ContainerID, _ = names(held.Rule)
			err := p.gone(held, target)
			if err != nil && held.ContainerID == p.ContainerID && errors.Is(err, held) {
				continue // it is alive on another network: its rules come first
			}
			if err != nil {
				return nil, nil, err
			}
			chains[chain] = nil // its port is free now
			lines = append(lines, removal(chain, top)...)
		}
	}
	return top, lines, nil
}

// gone is nil if the holder is gone.
func (p Ports) gone(held *HeldError, target netip.Addr) error {
	if held.ContainerID == "" || p.Gone == nil {
		return held
	}
	gone, err := p.Gone(held.Network, held.ContainerID, target, held.Port.Container.Addr())
	if err == nil && !gone {
		return held
	}
	return err
}

// removal are the lines that remove a container's chain and the jumps to it.
func removal(chain string, top []string) []string {
	var lines []string
	for _, line := range top {
		if strings.HasSuffix(line, " -j "+chain) {
			lines = append(lines, deletion(line))
		}
	}
	return append(lines, "-F "+chain, "-X "+chain)
}

// overlaps says whether a port is one of the numbers, which may be ranges.
func (p mapping) overlaps(numbers []string) bool {
	return slices.ContainsFunc(numbers, func(n string) bool {
		low, high, ok := span(n)
		return ok && low <= p.Last() && high >= p.HostPort
	})
}

// span reads 80 or 80:89.
func span(text string) (low, high uint16, ok bool) {
	first, last, isRange := strings.Cut(text, ":")
	if !isRange {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	return uint16(from), uint16(to), err1 == nil && err2 == nil
}

// in says whether one of the lines takes clients of the port, and where it sends them: a line for
// the same address of the host, or a line for all addresses, which would come first.
func (p mapping) in(lines []string) (netip.Addr, bool) {
	dest := ""
	if p.dest() != "" {
		dest = p.HostIP.String()
	}
	for _, line := range lines {
		words := strings.Fields(line)
		have, _, _ := strings.Cut(after(words, "-d"), "/")
		if slices.Contains(words, "DNAT") && slices.Contains(words, p.protocol()) &&
			p.overlaps([]string{after(words, "--dport")}) && (have == dest || have == "") {
			return leadsTo(after(words, "--to-destination")), true
		}
	}
	return netip.Addr{}, false
}

// leadsTo is the address in 10.1.0.2, 10.1.0.2:80-89/8080, fd00::2 or [fd00::2]:80.
func leadsTo(text string) netip.Addr {
	if a, err := netip.ParseAddr(text); err == nil {
		return a
	}
	if host, _, ok := strings.Cut(strings.TrimPrefix(text, "["), "]"); ok {
		text = host
	} else {
		text, _, _ = strings.Cut(text, ":")
	}
	a, _ := netip.ParseAddr(text) // invalid where somebody wrote a range of addresses
	return a
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

// names reads `dnat name: "<network>" id: "<container>"`.
func names(comment string) (network, containerID string, ok bool) {
	rest, ok := strings.CutPrefix(comment, `dnat name: "`)
	if !ok {
		return "", "", false
	}
	network, rest, ok = strings.Cut(rest, `" id: "`)
	containerID, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		return "", "", false
	}
	return network, containerID, true
}
