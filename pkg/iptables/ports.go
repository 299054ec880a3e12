package iptables

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
)

// Chains, by the reference's names.
const (
	ChainPrefix = "CNI-"                 // begins each name
	portsPrefix = ChainPrefix + "DN-"    // begins that of a container's chain of published ports
	topDNAT     = "CNI-HOSTPORT-DNAT"    // this and the next two are shared by all attachments
	setMark     = "CNI-HOSTPORT-SETMARK" // marks what is to be masqueraded
	masqChain   = "CNI-HOSTPORT-MASQ"    // masquerades what is marked

	// GuardChain is in table raw of IPv4. The reference has no such chain.
	GuardChain = "CNI-HOSTPORT-GUARD"
	guardJump  = "PREROUTING ! -i lo -j " + GuardChain // the rule that jumps to it
)

// perRule is how many ports the multiport match takes (XT_MULTI_PORTS).
const perRule = 15

// Ports is the rules of a container's published ports, named and written as the reference does.
type Ports struct {
	Network, ContainerID string
	Ports                []hostport.Mapping
	Subnets              []netip.Prefix // clients to masquerade; empty with "snat": false
	MasqAll              bool
	MarkBit              int    // of the mark that asks for masquerading
	MarkChain            string // somebody's chain that sets such a mark; "" for ours
	Conditions4          []string
	Conditions6          []string
	// Services are local addresses that are services', not the host's, in order.
	Services []netip.Addr
	// Opened are the links by which the host itself takes loopback addresses; nil: none.
	Opened func() []string
	// Gone says whether another container with the port is gone, so that Add may remove its rules;
	// nil: never. target is that container's address, mine the address of this one.
	Gone func(network, containerID string, target, mine netip.Addr) (bool, error)
}

// Chain is the name of the container's chain: CNI-DN- and 21 hex digits.
func (p Ports) Chain() string {
	return portsPrefix + digest(p.Network, p.ContainerID, 21)
}

// of are the ports of a family, in the configuration's order. Ports of one address of the host come
// first where a port of all addresses would take their clients.
func (p Ports) of(ipv6 bool) []mapping {
	var list []mapping
	for _, m := range p.Ports {
		if m.Container.Addr().Is4() != ipv6 {
			list = append(list, mapping{m})
		}
	}
	isAny := func(port mapping) bool { return port.dest() == "" }
	hidden := slices.ContainsFunc(list, func(one mapping) bool {
		return !isAny(one) && slices.ContainsFunc(list, func(all mapping) bool {
			return isAny(all) && all.Protocol == one.Protocol && all.overlaps([]string{one.numbers()})
		})
	})
	if hidden {
		slices.SortStableFunc(list, func(a, b mapping) int { return strings.Compare(b.dest(), a.dest()) })
	}
	return list
}

func (p Ports) mark() string { return fmt.Sprintf("0x%x", 1<<p.MarkBit) }

// marking are the lines that mark packets and masquerade marked ones; nil where no client is
// masqueraded, or a stranger's chain masquerades.
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

// shared are the lines for the chains that all attachments use. The first send packets to their chains.
func (p Ports) shared() []string {
	return append([]string{
		":" + topDNAT + " - [0:0]",
		"-A PREROUTING -m addrtype --dst-type LOCAL -j " + topDNAT,
		"-A OUTPUT -m addrtype --dst-type LOCAL -j " + topDNAT,
	}, p.marking()...)
}

// guard are the lines of table raw that keep loopback addresses the host's own.
func guard() []string {
	return []string{
		":" + GuardChain + " - [0:0]",
		"-A " + guardJump,
		"-A " + GuardChain + " -d 127.0.0.0/8 -j DROP",
		"-A " + GuardChain + " -s 127.0.0.0/8 -j DROP",
	}
}

// leaveOpen lets a new guard leave the opened links alone.
func (p Ports) leaveOpen(raw []string) []string {
	at := slices.Index(raw, guard()[0])
	if at < 0 || p.Opened == nil {
		return raw
	}
	var open []string
	for _, link := range p.Opened() {
		open = append(open, "-A "+GuardChain+" -i "+link+" -j RETURN")
	}
	return slices.Insert(raw, at+1, open...)
}

// own are the lines of the container's chain, as `iptables -S` prints them.
func (p Ports) own(ipv6 bool) []string {
	var lines []string
	mark := cmp.Or(p.MarkChain, setMark)
	for _, port := range p.of(ipv6) {
		match := fmt.Sprintf("-p %s -m %s --dport %s", port.protocol(), port.protocol(), port.numbers())
		for _, in := range p.masqueraded(ipv6) {
			for _, src := range port.from(ipv6, in) {
				lines = append(lines, fmt.Sprintf("-A %s %s%s%s -j %s", p.Chain(), src, port.dest(), match, mark))
			}
		}
		for _, src := range port.from(ipv6, netip.Prefix{}) {
			lines = append(lines, fmt.Sprintf("-A %s %s%s%s -j DNAT --to-destination %s", p.Chain(), src, port.dest(), match, port.target()))
		}
		if port.Allow != nil { // others reach the host itself, and no other container
			lines = append(lines, fmt.Sprintf("-A %s %s%s -j ACCEPT", p.Chain(), port.dest(), match))
		}
	}
	return lines
}

// masqueraded are the networks of clients to masquerade; an invalid one is everybody.
func (p Ports) masqueraded(ipv6 bool) []netip.Prefix {
	if p.MasqAll {
		return []netip.Prefix{{}}
	}
	list := ofFamily(p.Subnets, ipv6)
	if len(list) > 0 && !ipv6 {
		list = append(list, netip.MustParsePrefix("127.0.0.1/32"))
	}
	return list
}

// entries are the lines that jump to the container's chain.
func (p Ports) entries(ipv6 bool) []string {
	conditions := p.Conditions4
	if ipv6 {
		conditions = p.Conditions6
	}
	byProtocol := make(map[string][]string)
	for _, port := range p.of(ipv6) {
		proto, numbers := port.protocol(), port.numbers()
		if !slices.Contains(byProtocol[proto], numbers) {
			byProtocol[proto] = append(byProtocol[proto], numbers)
		}
	}
	var lines []string
	for _, proto := range slices.Sorted(maps.Keys(byProtocol)) {
		for _, chunk := range chunks(byProtocol[proto]) {
			words := []string{"-A", topDNAT, "-p", proto, p.comment(), "-m", "multiport", "--dports", strings.Join(chunk, ",")}
			for _, c := range conditions {
				words = append(words, quote(c))
			}
			lines = append(lines, strings.Join(append(words, "-j", p.Chain()), " "))
		}
	}
	return lines
}

// chunks splits ports for the multiport match, in which a range takes two places.
func chunks(numbers []string) [][]string {
	var list [][]string
	room := 0
	for _, n := range numbers {
		need := 1 + strings.Count(n, ":")
		if room < need {
			list, room = append(list, nil), perRule
		}
		room -= need
		list[len(list)-1] = append(list[len(list)-1], n)
	}
	return list
}

func (p Ports) comment() string { return comment("dnat ", p.Network, p.ContainerID) }

// quote makes one word of iptables-restore's input. The word must have no line break.
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
	top, nat, err := p.conflict(f)
	if err != nil {
		return err
	}
	shared, err := f.absent("nat", p.shared(), false)
	if err != nil {
		return err
	}
	nat = slices.Concat(nat, shared, p.services(f.IPv6, top))
	var raw []string
	if !f.IPv6 { // the reference, which may have made the others, has none
		if raw, err = f.absent("raw", guard(), false); err != nil {
			return err
		}
		raw = p.leaveOpen(raw)
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

// Missing lists the rules that are not there.
func (p Ports) Missing(f Family) ([]string, error) {
	if len(p.of(f.IPv6)) == 0 {
		return nil, nil
	}
	var missing []string
	tell := func(table string, lines ...string) {
		for _, line := range lines {
			missing = append(missing, f.program("")+" -t "+table+" "+asListed(line))
		}
	}
	if !f.IPv6 {
		lines, err := f.absent("raw", guard(), true)
		if err != nil {
			return nil, err
		}
		tell("raw", lines...)
	}
	lines, err := f.absent("nat", append(p.shared(), p.own(f.IPv6)...), true)
	if err != nil {
		return nil, err
	}
	tell("nat", lines...)
	top, err := f.list("nat", topDNAT)
	if err != nil {
		return nil, err
	}
	// Conditions are not compared: iptables prints their words in an order and form of its own.
	p.Conditions4, p.Conditions6 = nil, nil
	for _, want := range p.entries(f.IPv6) {
		if !slices.ContainsFunc(top, func(line string) bool { return hasWords(line, want) }) {
			tell("nat", want)
		}
	}
	return missing, nil
}

// hasWords says whether the line has all words of want.
func hasWords(line, want string) bool {
	words := strings.Fields(line)
	return !slices.ContainsFunc(strings.Fields(want), func(w string) bool { return !slices.Contains(words, w) })
}

// Del removes the container's chain and the jumps to it, if any, and returns where its ports led.
func (p Ports) Del(f Family) ([]Forward, error) {
	own, err := f.list("nat", p.Chain())
	if err != nil || own == nil {
		return nil, err
	}
	top, err := f.list("nat", topDNAT)
	if err != nil {
		return nil, err
	}
	return forwards(own), f.Restore(removal(p.Chain(), top))
}
