package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// Words that stand for addresses. Each has a row in README.md.
const (
	wordDNS  = "dns"  // the container's resolvers
	wordHost = "host" // the host's own addresses
)

// wordList is the addresses that a word stands for; nil for another word. metadata is where clouds tell a
// machine its secrets: most of them; AWS (and its containers and pods), Google, Alibaba, Azure, Oracle,
// Scaleway, Tencent. private is what no router of the internet knows (RFC 1918, RFC 6598, RFC 3927,
// RFC 4193, RFC 4291).
func wordList(word string) []string {
	switch word {
	case "metadata":
		return []string{
			"169.254.169.254/32", "fd00:ec2::254/128", "169.254.170.2/32", "169.254.170.23/32", "fd00:ec2::23/128", "fd20:ce::254/128",
			"100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "169.254.42.42/32", "fd00:42::42/128", "169.254.0.23/32",
		}
	case "private":
		return []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"}
	}
	return nil
}

// maxDestinations and maxPorts bound a list and an entry's ports: their rules go to the kernel in one message.
const maxDestinations, maxPorts = 1000, 100

// isName says whether a word can be part of the name of a set of nft(8).
func isName(word string) bool {
	return word != "" && len(word) <= 32 && !strings.ContainsFunc(word, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// wireEgress is the key egress.
type wireEgress struct {
	Default string            `json:"default"`
	Allow   []wireDestination `json:"allow"`
	Deny    []wireDestination `json:"deny"`
}

type wireDestination struct {
	To       string     `json:"to"`
	Protocol string     `json:"protocol"`
	Ports    []wirePort `json:"ports"`
}

// Unknown refuses keys: a misspelt list would let through what it was to stop.
func (*wireEgress) Unknown(key string) error {
	return cni.Errorf(cni.CodeConfig, "egress: unknown key %q: use \"default\", \"allow\" and \"deny\", and in these lists \"to\", \"protocol\" and \"ports\"", key)
}

// Unknown refuses keys.
func (*wireDestination) Unknown(key string) error { return (*wireEgress)(nil).Unknown(key) }

// wirePort is a port, or a range such as "8000-8999".
type wirePort nft.PortRange

// UnmarshalJSON takes a number or a string.
func (p *wirePort) UnmarshalJSON(data []byte) error {
	first, rest := digits(bytes.Trim(data, `"`))
	last := first
	if len(rest) > 0 && rest[0] == '-' {
		last, rest = digits(rest[1:])
	}
	if len(rest) > 0 || first == 0 || first > last || last > math.MaxUint16 {
		return cni.Errorf(cni.CodeConfig, "egress: ports: %s is neither a port from 1 to 65535 nor a range such as \"8000-8999\"", data)
	}
	*p = wirePort{First: uint16(first), Last: uint16(last)}
	return nil
}

// digits reads the number that a text begins with, of at most 9 digits; 0 without one.
func digits(text []byte) (n int, rest []byte) {
	for rest = text; len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' && len(text)-len(rest) < 9; rest = rest[1:] {
		n = 10*n + int(rest[0]-'0')
	}
	return n, rest
}

// egress is the parsed key.
type egress struct {
	deny    bool // what no list names
	allowed []destination
	denied  []destination
}

// destination is an entry; with dns its addresses are the container's resolvers.
type destination struct {
	ruleset.Entry
	dns bool
}

// egress takes the container's own rules, else the network's.
func (w *wire) egress(c *Conf) (err error) {
	key, from := "runtimeConfig.egress", w.RuntimeConfig.Egress
	if from == nil {
		key, from = "args.cni.egress", w.Args.CNI.Egress
	}
	if from == nil {
		key, from = "egress", w.Egress
	}
	if from == nil {
		return nil
	}
	e := &egress{deny: from.Default == "deny"}
	if from.Default != "deny" && from.Default != "allow" {
		return fmt.Errorf("%s.default: %q is neither \"allow\" nor \"deny\": say what holds for all that no list names", key, from.Default)
	}
	if e.allowed, err = destinations(key+".allow", from.Allow); err == nil {
		e.denied, err = destinations(key+".deny", from.Deny)
	}
	c.Egress, c.IPSpoofChk, c.MacSpoofChk = e, true, true
	return err
}

func destinations(key string, list []wireDestination) (parsed []destination, err error) {
	if len(list) > maxDestinations {
		return nil, fmt.Errorf("%s: has %d entries, more than %d: give larger subnets", key, len(list), maxDestinations)
	}
	parsed = make([]destination, 0, len(list))
	for i, w := range list {
		d, err := w.parse()
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", key, i, err)
		}
		parsed = append(parsed, d)
	}
	return parsed, nil
}

func (w wireDestination) parse() (d destination, err error) {
	if d.Protocol, err = w.protocol(); err != nil {
		return d, err
	}
	if len(w.Ports) > 0 {
		d.Ports = make([]nft.PortRange, len(w.Ports))
	}
	for i, p := range w.Ports {
		d.Ports[i] = nft.PortRange(p)
	}
	if w.Ports != nil && len(w.Ports) == 0 || len(w.Ports) > maxPorts {
		return d, fmt.Errorf("ports: has %d entries: give 1 to %d, ranges for more, or leave it out for all ports", len(w.Ports), maxPorts)
	}
	name, isNames := strings.CutPrefix(w.To, "@")
	switch {
	case w.To == wordHost:
		d.Host = true
	case w.To == wordDNS:
		if d.dns = true; w.Protocol != "" || w.Ports != nil {
			return d, errors.New("protocol, ports: \"dns\" has its own, port 53 of UDP and TCP: remove them, or name the resolver by its address")
		}
	case isNames && isName(name):
		d.Names = name
	case wordList(w.To) != nil:
		for _, text := range wordList(w.To) {
			d.To = append(d.To, netip.MustParsePrefix(text))
		}
	default:
		var p netip.Prefix
		p, err = parseDestination(w.To)
		d.To = []netip.Prefix{p}
	}
	return d, err
}

// parseDestination reads an address or a CIDR.
func parseDestination(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if !strings.Contains(text, "/") {
		var a netip.Addr
		if a, err = netip.ParseAddr(text); a.Zone() != "" {
			err = errors.New("has a zone")
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	switch {
	case err != nil:
		return p, fmt.Errorf("to: %q is neither an address, nor a CIDR such as 10.0.0.0/8, nor one of \"dns\", \"host\", \"metadata\", \"private\", nor \"@\" with the name of a set", text)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("to: %q is an IPv4 address in the form of IPv6, which no packet carries: write %s", text, p.Addr().Unmap())
	case p != p.Masked():
		return p, fmt.Errorf("to: %q has bits beyond its length: write %s, or %s for this address alone", text, p.Masked(), p.Addr())
	}
	return p, nil
}

func (w wireDestination) protocol() (uint8, error) {
	switch w.Protocol {
	case "":
		if len(w.Ports) > 0 {
			return unix.IPPROTO_TCP, nil
		}
		return 0, nil
	case "icmp":
		if len(w.Ports) > 0 {
			return 0, errors.New("ports: icmp has none: remove them")
		}
		return unix.IPPROTO_ICMP, nil
	}
	if number, is := hostport.Protocol(w.Protocol); is {
		return number, nil
	}
	return 0, fmt.Errorf("protocol: %q is none of tcp, udp, sctp, icmp", w.Protocol)
}

// list is one of the two, with its key.
type list struct {
	key string
	of  []destination
}

// lists are the two in the order in which they are asked: that of the default has the exceptions.
func (e *egress) lists() []list {
	lists := []list{{"egress.allow", e.allowed}, {"egress.deny", e.denied}}
	if e.deny {
		slices.Reverse(lists)
	}
	return lists
}

// asksDNS says whether an entry stands for the container's resolvers.
func (e *egress) asksDNS() bool {
	return slices.ContainsFunc(slices.Concat(e.allowed, e.denied), func(d destination) bool { return d.dns })
}

// policy is the rules, for a container with these resolvers.
func (e *egress) policy(resolvers []netip.Prefix) *ruleset.Policy {
	expand := func(list []destination) []ruleset.Entry {
		entries := make([]ruleset.Entry, 0, len(list)+1) // dns is two
		for _, d := range list {
			if !d.dns {
				entries = append(entries, d.Entry)
				continue
			}
			for _, protocol := range []uint8{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
				entries = append(entries, ruleset.Entry{To: resolvers, Protocol: protocol, Ports: []nft.PortRange{{First: 53, Last: 53}}})
			}
		}
		return entries
	}
	lists := e.lists()
	return &ruleset.Policy{Deny: e.deny, First: expand(lists[0].of), Then: expand(lists[1].of)}
}

// hostResolvers are files in which a host names its resolvers, the second where the first names a
// local stub, which a container can't reach.
var hostResolvers = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// confine makes the rules about where the container may send. dns is of its result.
func (in *inputs) confine(dns types.DNS) error {
	e := in.conf.Egress
	if e == nil {
		return nil
	}
	var resolvers []netip.Prefix
	if e.asksDNS() {
		if resolvers = in.resolvers(dns); len(resolvers) == 0 {
			return cni.Errorf(cni.CodeConfig, "egress: \"dns\": there is no resolver that the container could reach, neither in dns.nameservers nor in %s: name one by its address", strings.Join(hostResolvers, ", "))
		}
	}
	in.egress = e.policy(resolvers)
	return nil
}

// resolvers are those of the first source that names any which a container can reach.
func (in *inputs) resolvers(dns types.DNS) []netip.Prefix {
	for _, names := range [][]string{in.conf.resolvers, in.conf.DNS.Nameservers, dns.Nameservers} {
		if found := reachable(names); len(found) > 0 {
			return found
		}
	}
	for _, path := range hostResolvers {
		host, _ := lease.ReadResolvConf(path) // a file that is missing names none
		if found := reachable(host.Nameservers); len(found) > 0 {
			return found
		}
	}
	return nil
}

// reachable are the addresses that are not the loopback of who names them.
func reachable(names []string) (addrs []netip.Prefix) {
	for _, name := range names {
		if a, err := netip.ParseAddr(name); err == nil && !a.IsLoopback() {
			a = a.Unmap().WithZone("")
			addrs = append(addrs, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return addrs
}
