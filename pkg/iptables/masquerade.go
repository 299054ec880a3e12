package iptables

import (
	"crypto/sha512"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// maxComment is XT_MAX_COMMENT_LEN less the terminating zero.
const maxComment = 255

// Masquerade is the rules that give a container's connections the host's address, named and written
// as the reference does. Both interfaces of a container in one network share the chain.
type Masquerade struct {
	Network, ContainerID string
	Addrs                []netip.Prefix // the container's, each with its subnet
	Exclude              []netip.Prefix // destinations that see the container's address
}

// Chain is the name of the container's chain: CNI- and 24 hex digits.
func (m Masquerade) Chain() string { return ChainPrefix + digest(m.Network, m.ContainerID, 24) }

// digest is the first n hex digits of a container's SHA-512, as the reference has them.
func digest(network, containerID string, n int) string {
	return fmt.Sprintf("%x", sha512.Sum512([]byte(network+containerID)))[:n]
}

func (m Masquerade) comment() string { return comment("", m.Network, m.ContainerID) }

// comment is the match of a container's comment, which begins with kind.
func comment(kind, network, containerID string) string {
	text := fmt.Sprintf(`%sname: \"%s\" id: \"%s\"`, kind, network, containerID)
	if len(text) > maxComment {
		text = strings.TrimRight(text[:maxComment], `\`)
	}
	return `-m comment --comment "` + text + `"`
}

func (m Masquerade) addrs(ipv6 bool) []netip.Prefix { return ofFamily(m.Addrs, ipv6) }

// ofFamily are the prefixes of IPv4 or of IPv6.
func ofFamily(list []netip.Prefix, ipv6 bool) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(list), func(p netip.Prefix) bool { return p.Addr().Is4() == ipv6 })
}

// rules are the lines that must be there, as `iptables -S` prints them.
func (m Masquerade) rules(ipv6 bool) []string {
	addrs := m.addrs(ipv6)
	if len(addrs) == 0 {
		return nil
	}
	multicast := "224.0.0.0/4"
	if ipv6 {
		multicast = "ff00::/8"
	}
	skip := ofFamily(m.Exclude, ipv6)
	for _, a := range addrs {
		skip = append(skip, a.Masked())
	}
	slices.SortFunc(skip, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	var lines []string
	for _, p := range slices.Compact(skip) {
		lines = append(lines, fmt.Sprintf("-A %s -d %s %s -j ACCEPT", m.Chain(), p, m.comment()))
	}
	return append(lines, fmt.Sprintf("-A %s ! -d %s %s -j MASQUERADE", m.Chain(), multicast, m.comment()))
}

// jumps are the lines that jump to the chain, one for each address.
func (m Masquerade) jumps(ipv6 bool) []string {
	var lines []string
	for _, a := range m.addrs(ipv6) {
		lines = append(lines, fmt.Sprintf("-A POSTROUTING -s %s %s -j %s",
			netip.PrefixFrom(a.Addr(), a.Addr().BitLen()), m.comment(), m.Chain()))
	}
	return lines
}

// Lines is what Add hands to iptables-restore.
func (m Masquerade) Lines(ipv6 bool) []string {
	if len(m.addrs(ipv6)) == 0 {
		return nil
	}
	return slices.Concat([]string{":" + m.Chain() + " - [0:0]"}, m.rules(ipv6), m.jumps(ipv6))
}

// Add writes the rules.
func (m Masquerade) Add(f Family) error { return f.Restore(m.Lines(f.IPv6)) }

// Missing lists the rules that are not there.
func (m Masquerade) Missing(f Family) ([]string, error) {
	if len(m.addrs(f.IPv6)) == 0 {
		return nil, nil
	}
	have, err := f.lists(m.Chain(), "POSTROUTING")
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, want := range append(m.rules(f.IPv6), m.jumps(f.IPv6)...) {
		if !slices.Contains(slices.Concat(have...), want) {
			missing = append(missing, f.program("")+" -t nat "+want)
		}
	}
	return missing, nil
}

// Del removes the jumps of the addresses, or without addresses all jumps, and with the last jump
// the chain. Absent rules are success.
func (m Masquerade) Del(f Family) error {
	have, err := f.lists("POSTROUTING", m.Chain())
	if err != nil {
		return err
	}
	jumps := slices.DeleteFunc(have[0], func(line string) bool { return !strings.HasSuffix(line, " -j "+m.Chain()) })
	var lines []string
	for _, line := range jumps {
		if len(m.Addrs) == 0 || m.mine(line) {
			lines = append(lines, deletion(line))
		}
	}
	if len(lines) == len(jumps) && have[1] != nil {
		lines = append(lines, "-F "+m.Chain(), "-X "+m.Chain())
	}
	return f.Restore(lines)
}

func (m Masquerade) mine(line string) bool {
	return slices.ContainsFunc(m.Addrs, func(p netip.Prefix) bool {
		return strings.Contains(line, " -s "+netip.PrefixFrom(p.Addr(), p.Addr().BitLen()).String()+" ")
	})
}
