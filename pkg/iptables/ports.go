package iptables

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Chains that all attachments share, by the reference's names.
const (
	topDNAT    = "CNI-HOSTPORT-DNAT"
	setMark    = "CNI-HOSTPORT-SETMARK"
	masqChain  = "CNI-HOSTPORT-MASQ"
	guardChain = "CNI-HOSTPORT-GUARD"
)

// perRule is how many ports the multiport match takes (XT_MULTI_PORTS).
const perRule = 15

// Port is one published port.
type Port struct {
	HostIP    netip.Addr // invalid or unspecified: every address
	Protocol  string
	HostPort  uint16
	Container netip.AddrPort
}

// Ports is the rules of a container's published ports, named and written as the
// reference does.
type Ports struct {
	Network, ContainerID string
	Ports                []Port
	Subnets              []netip.Prefix // clients to masquerade; empty with "snat": false
	MasqAll              bool
	MarkBit              int    // of the mark that asks for masquerading
	MarkChain            string // somebody's chain that sets such a mark; "" for ours
	Conditions4          []string
	Conditions6          []string
}

// Chain is the name of the container's chain: CNI-DN- and 21 hex digits.
func (p Ports) Chain() string {
	sum := sha512.Sum512([]byte(p.Network + p.ContainerID))
	return "CNI-DN-" + hex.EncodeToString(sum[:])[:21]
}

func (p Ports) of(ipv6 bool) []Port {
	return slices.DeleteFunc(slices.Clone(p.Ports), func(port Port) bool { return port.Container.Addr().Is4() == ipv6 })
}

func (p Ports) mark() string { return fmt.Sprintf("0x%x", 1<<p.MarkBit) }

// leading are the lines that lead all attachments' packets to their chains.
func leading() []string {
	return []string{
		":" + topDNAT + " - [0:0]",
		"-A PREROUTING -m addrtype --dst-type LOCAL -j " + topDNAT,
		"-A OUTPUT -m addrtype --dst-type LOCAL -j " + topDNAT,
	}
}

// marking are the lines that mark packets and masquerade what is marked; none where
// no client is masqueraded, or somebody's chain does it.
func (p Ports) marking() []string {
	if p.MarkChain != "" || !p.MasqAll && len(p.Subnets) == 0 {
		return nil
	}
	return []string{
		":" + setMark + " - [0:0]",
		fmt.Sprintf(`-A %s -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark %s/%s`, setMark, p.mark(), p.mark()),
		":" + masqChain + " - [0:0]",
		fmt.Sprintf("-A %s -m mark --mark %s/%s -j MASQUERADE", masqChain, p.mark(), p.mark()),
		`-I POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j ` + masqChain,
	}
}

// shared are the lines for the chains that all attachments use.
func (p Ports) shared() []string { return append(leading(), p.marking()...) }

// guard are the lines of table raw that keep loopback addresses the host's own.
func guard() []string {
	return []string{
		":" + guardChain + " - [0:0]",
		"-A PREROUTING ! -i lo -j " + guardChain,
		"-A " + guardChain + " -d 127.0.0.0/8 -j DROP",
		"-A " + guardChain + " -s 127.0.0.0/8 -j DROP",
	}
}

// own are the lines of the container's chain, as `iptables -S` prints them.
func (p Ports) own(ipv6 bool) []string {
	var lines []string
	for _, port := range p.of(ipv6) {
		match := fmt.Sprintf("-p %s -m %s --dport %d", port.Protocol, port.Protocol, port.HostPort)
		dest := ""
		if port.HostIP.IsValid() && !port.HostIP.IsUnspecified() {
			dest = "-d " + netip.PrefixFrom(port.HostIP, port.HostIP.BitLen()).String() + " "
		}
		for _, src := range p.masqueraded(ipv6) {
			lines = append(lines, fmt.Sprintf("-A %s %s%s%s -j %s", p.Chain(), src, dest, match, p.markChain()))
		}
		lines = append(lines, fmt.Sprintf("-A %s %s%s -j DNAT --to-destination %s", p.Chain(), dest, match, port.Container))
	}
	return lines
}

func (p Ports) markChain() string {
	if p.MarkChain != "" {
		return p.MarkChain
	}
	return setMark
}

// masqueraded are the source matches of clients to masquerade.
func (p Ports) masqueraded(ipv6 bool) []string {
	if p.MasqAll {
		return []string{""}
	}
	var list []string
	for _, s := range p.Subnets {
		if s.Addr().Is4() != ipv6 {
			list = append(list, "-s "+s.String()+" ")
		}
	}
	if len(list) > 0 && !ipv6 {
		list = append(list, "-s 127.0.0.1/32 ")
	}
	return list
}

// entries are the lines that lead to the container's chain.
func (p Ports) entries(ipv6 bool) []string {
	conditions := p.Conditions4
	if ipv6 {
		conditions = p.Conditions6
	}
	byProtocol := make(map[string][]string)
	var protocols []string
	for _, port := range p.of(ipv6) {
		number := fmt.Sprint(port.HostPort)
		if !slices.Contains(protocols, port.Protocol) {
			protocols = append(protocols, port.Protocol)
		}
		if !slices.Contains(byProtocol[port.Protocol], number) {
			byProtocol[port.Protocol] = append(byProtocol[port.Protocol], number)
		}
	}
	slices.Sort(protocols)
	var lines []string
	for _, proto := range protocols {
		for chunk := range slices.Chunk(byProtocol[proto], perRule) {
			words := []string{"-A", topDNAT, "-p", proto, p.comment(), "-m", "multiport", "--dports", strings.Join(chunk, ",")}
			for _, c := range conditions {
				words = append(words, quote(c))
			}
			lines = append(lines, strings.Join(append(words, "-j", p.Chain()), " "))
		}
	}
	return lines
}

func (p Ports) comment() string {
	text := fmt.Sprintf(`dnat name: \"%s\" id: \"%s\"`, p.Network, p.ContainerID)
	if len(text) > maxComment {
		text = strings.TrimRight(text[:maxComment], `\`)
	}
	return `-m comment --comment "` + text + `"`
}

// quote makes one word of iptables-restore's input. It has been checked to hold no
// line break.
func quote(word string) string {
	if !strings.ContainsAny(word, " \t\"'\\") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// Add writes the rules of one family, with the shared ones where they are missing.
func (p Ports) Add(f Family) error {
	if len(p.of(f.IPv6)) == 0 {
		return nil
	}
	var nat, raw []string
	top, err := f.List(topDNAT)
	if err != nil {
		return err
	}
	if err := p.conflict(f, top); err != nil {
		return err
	}
	if top == nil {
		nat = leading()
	}
	if lines := p.marking(); lines != nil {
		have, err := f.List(masqChain)
		if err != nil {
			return err
		}
		if have == nil {
			nat = append(nat, lines...)
		}
	}
	if !f.IPv6 { // the reference, which may have made the others, has none
		have, err := f.list("raw", guardChain)
		if err != nil {
			return err
		}
		if have == nil {
			raw = guard()
		}
	}
	nat = append(nat, ":"+p.Chain()+" - [0:0]")
	return f.restore(map[string][]string{"raw": raw, "nat": slices.Concat(nat, p.own(f.IPv6), p.entries(f.IPv6))})
}

// Lines is what Add hands to iptables-restore where nothing is there yet.
func (p Ports) Lines(ipv6 bool) []string {
	if len(p.of(ipv6)) == 0 {
		return nil
	}
	return slices.Concat(p.shared(), []string{":" + p.Chain() + " - [0:0]"}, p.own(ipv6), p.entries(ipv6))
}

// Missing names the rules that are not there.
func (p Ports) Missing(f Family) ([]string, error) {
	if len(p.of(f.IPv6)) == 0 {
		return nil, nil
	}
	var have []string
	for _, chain := range []string{p.Chain(), topDNAT, "PREROUTING", "OUTPUT", "POSTROUTING", setMark, masqChain} {
		lines, err := f.List(chain)
		if err != nil {
			return nil, err
		}
		have = append(have, lines...)
	}
	var missing []string
	for _, want := range append(p.shared(), p.own(f.IPv6)...) {
		want = strings.Replace(want, "-I ", "-A ", 1)
		if chain, ok := strings.CutPrefix(want, ":"); ok {
			want = "-N " + strings.Fields(chain)[0]
		}
		if !slices.Contains(have, want) {
			missing = append(missing, f.program("")+" -t nat "+want)
		}
	}
	for _, want := range p.unconditional().entries(f.IPv6) {
		if !slices.ContainsFunc(have, func(line string) bool { return hasWords(line, want) }) {
			missing = append(missing, f.program("")+" -t nat "+want)
		}
	}
	return missing, nil
}

// unconditional is p without conditions, whose words iptables puts into an order and
// form of its own.
func (p Ports) unconditional() Ports {
	p.Conditions4, p.Conditions6 = nil, nil
	return p
}

// hasWords says whether the line has all words of want.
func hasWords(line, want string) bool {
	words := strings.Fields(line)
	for _, w := range strings.Fields(want) {
		if !slices.Contains(words, w) {
			return false
		}
	}
	return true
}

// Del removes the container's chain and what leads to it. Absent rules are success.
func (p Ports) Del(f Family) error {
	own, err := f.List(p.Chain())
	if err != nil || own == nil {
		return err
	}
	top, err := f.List(topDNAT)
	if err != nil {
		return err
	}
	var lines []string
	for _, line := range top {
		if strings.HasSuffix(line, " -j "+p.Chain()) {
			lines = append(lines, "-D"+strings.TrimPrefix(line, "-A"))
		}
	}
	return f.Restore(append(lines, "-F "+p.Chain(), "-X "+p.Chain()))
}
