package ruleset

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// MasqueradeChain masquerades packets except those to multicast and to the prefixes in skip: the
// network's own subnets, and destinations that must see the containers' addresses.
func MasqueradeChain(network string, skip []netip.Prefix) nft.Chain {
	var rules []nft.Rule
	for _, p := range sorted(skip) {
		rules = append(rules, nft.NewRule("keep the source address inside "+p.String(), nft.Daddr(p), nft.Return()))
	}
	for _, multicast := range []string{"224.0.0.0/4", "ff00::/8"} {
		rules = append(rules, nft.NewRule("multicast is never masqueraded", nft.Daddr(netip.MustParsePrefix(multicast)), nft.Return()))
	}
	rules = append(rules, nft.NewRule("containers of "+network+" leave with the host's address", nft.Masq()))
	return nft.Named(nft.MasqueradeChains+network, rules)
}

// ReplyChain masquerades clients whose replies would not pass through this host's connection tracking:
// those in the container's subnets, such as the container itself, and on loopback; with all everybody.
func ReplyChain(network string, subnets []netip.Prefix, all bool) nft.Chain {
	if all {
		return nft.Named(nft.ReplyChains+network, []nft.Rule{nft.NewRule("masqAll: every client of a published port", nft.Masq())})
	}
	var rules []nft.Rule
	for _, p := range sorted(subnets) {
		rules = append(rules, nft.NewRule("a client in "+p.String()+" would get the reply directly, from the wrong address",
			nft.Saddr(p), nft.Masq()))
	}
	rules = append(rules,
		nft.NewRule("the host itself, by 127.0.0.0/8", nft.Saddr(netip.MustParsePrefix("127.0.0.0/8")), nft.Masq()),
		nft.NewRule("the host itself, by ::1", nft.Saddr(netip.MustParsePrefix("::1/128")), nft.Masq()))
	return nft.Named(nft.ReplyChains+network, rules)
}

func sorted(prefixes []netip.Prefix) []netip.Prefix {
	out := slices.Clone(prefixes)
	slices.SortFunc(out, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

// lastTraffic is the name of the only chain of Traffic.
const lastTraffic = "traffic"

// Traffic looks at connections before the kernel translates an address: a packet for a container's own
// address did not come by a published port. The block exists only where a network asks for it.
func Traffic() nft.Block {
	return nft.Block{Place: nft.InTraffic, Last: lastTraffic, Chains: func() []nft.Chain { return []nft.Chain{trafficChain()} }}
}

func trafficChain() nft.Chain {
	return nft.Chain{
		Name: lastTraffic,
		Hook: &nft.Hook{Type: "filter", Name: "prerouting", Priority: -150, PriorityName: "mangle"},
		Rules: []nft.Rule{
			nft.NewRule("containers that only their own bridge reaches", nft.NotEstablished(), nft.DaddrVmap("hidden4")),
			nft.NewRule("containers that only their own bridge reaches", nft.NotEstablished(), nft.DaddrVmap("hidden6")),
			nft.NewRule("containers with a limit of connections", nft.IsNew(), nft.SaddrVmap("limited4")),
			nft.NewRule("containers with a limit of connections", nft.IsNew(), nft.SaddrVmap("limited6")),
		},
	}
}

// HideChain drops what comes from anywhere but the links.
func HideChain(network string, links []string) nft.Chain {
	var rules []nft.Rule
	for _, link := range links {
		rules = append(rules, nft.NewRule("from its own bridge", nft.Iifname(link), nft.Return()))
	}
	return nft.Named(nft.HideChains+network, append(rules,
		nft.NewRule("containers of "+network+" are reached by published ports alone", nft.Drop())))
}

// LimitChain drops new connections of a container that has as many already.
func LimitChain(network string, connections uint32) nft.Chain {
	return nft.Named(nft.LimitChains+network, []nft.Rule{
		nft.NewRule("too many connections at once", nft.CountOver("flows4", connections), nft.Drop()),
		nft.NewRule("too many connections at once", nft.CountOver("flows6", connections), nft.Drop()),
	})
}
