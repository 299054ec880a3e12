package nft

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// What the names of networks' chains begin with.
const (
	masqPrefix = "masq-"
	snatPrefix = "snat-"
	vlanPrefix = "vlan-"
)

// networkPrefixes are those of all chains that elements lead to, and nothing else.
func networkPrefixes() []string {
	return []string{masqPrefix, snatPrefix, gatePrefix, hidePrefix, limitPrefix}
}

// Chain is a chain of our table with its rules. Chains are never changed once
// they exist: the name of a network's chain ends in a digest of its rules, so a
// changed configuration makes a new chain and old attachments keep theirs.
type Chain struct {
	Name  string
	Link  bool  // in family bridge
	Hook  *hook // nil for a chain that others jump to
	Rules []Rule
}

func (c Chain) family() string {
	if c.Link {
		return "bridge"
	}
	return "inet"
}

// Rule is one rule, as text for people and as expressions for the kernel.
type Rule struct {
	Text    string
	Comment string
	exprs   []expr.Any
}

// hook is where a base chain hangs.
type hook struct {
	kind     nftables.ChainType
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
	text     string
}

// String is the nft(8) commands that make the chain.
func (c Chain) String() string {
	var b strings.Builder
	at := ""
	if c.Hook != nil {
		at = " { " + c.Hook.text + " ; }"
	}
	fmt.Fprintf(&b, "nft add chain %s %s %s%s", c.family(), Table, c.Name, at)
	for _, r := range c.Rules {
		fmt.Fprintf(&b, "\nnft add rule %s %s %s %s comment %q", c.family(), Table, c.Name, r.Text, r.Comment)
	}
	return b.String()
}

// MasqueradeChain masquerades, except to the given prefixes and to multicast.
// skip are the network's own subnets and what else must see container addresses.
func MasqueradeChain(network string, skip []netip.Prefix) Chain {
	var rules []Rule
	for _, p := range sorted(skip) {
		rules = append(rules, rule("keep the source address inside "+p.String(),
			destination(p), stop(expr.VerdictReturn)))
	}
	rules = append(rules,
		rule("multicast is never masqueraded", destination(netip.MustParsePrefix("224.0.0.0/4")), stop(expr.VerdictReturn)),
		rule("multicast is never masqueraded", destination(netip.MustParsePrefix("ff00::/8")), stop(expr.VerdictReturn)),
		rule("containers of "+network+" leave with the host's address", masquerade()))
	return named(masqPrefix+network, rules)
}

// ReplyChain masquerades clients whose replies would otherwise not pass through
// this host's connection tracking: those in the container's own subnets (the
// container itself included) and those on loopback. With all, every client.
func ReplyChain(network string, subnets []netip.Prefix, all bool) Chain {
	if all {
		return named(snatPrefix+network, []Rule{rule("masqAll: every client of a published port", masquerade())})
	}
	var rules []Rule
	for _, p := range sorted(subnets) {
		rules = append(rules, rule("a client in "+p.String()+" would get the reply directly, from the wrong address",
			source(p), masquerade()))
	}
	rules = append(rules,
		rule("the host itself, by 127.0.0.0/8", source(netip.MustParsePrefix("127.0.0.0/8")), masquerade()),
		rule("the host itself, by ::1", source(netip.MustParsePrefix("::1/128")), masquerade()))
	return named(snatPrefix+network, rules)
}

// VlanGatewayChain hides from connection tracking the frames on their way between a
// container and its VLAN's gateway link. With bridge-nf-call-iptables they meet the
// hooks as bridged packets first; a connection that is known by then would not be
// translated any more where the packets are routed (nf_nat_inet_fn binds it once).
func VlanGatewayChain(bridge string, vid uint16, mac net.HardwareAddr) Chain {
	c := named(fmt.Sprintf("%s%s.%d", vlanPrefix, bridge, vid), []Rule{
		rule("bridged on the way to the gateway of the VLAN", compareName(bridge, false), hardware(destinationMAC, mac), notrack()),
		rule("bridged on the way from the gateway of the VLAN", compareName(bridge, false), hardware(sourceMAC, mac), notrack()),
	})
	c.Hook = &hook{nftables.ChainTypeFilter, nftables.ChainHookPrerouting, -300, "type filter hook prerouting priority raw"}
	return c
}

func sorted(prefixes []netip.Prefix) []netip.Prefix {
	out := slices.Clone(prefixes)
	slices.SortFunc(out, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

func named(prefix string, rules []Rule) Chain {
	var text strings.Builder
	for _, r := range rules {
		text.WriteString(r.Text + "\n")
	}
	sum := sha256.Sum256([]byte(text.String()))
	// A chain's name may be 255 bytes (NFT_NAME_MAXLEN); a network's is not limited.
	return Chain{Name: prefix[:min(len(prefix), 100)] + "-" + hex.EncodeToString(sum[:4]), Rules: rules}
}
