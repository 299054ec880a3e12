// Package ruleset is the chains that Bridgeport writes: published ports, masquerade, the checks of
// what a container sends, limits, and [::1] through a bridge. The chains are static. Attachments own
// elements of the sets in package nft's table.
//
//	fmt.Println(ruleset.Base()) // as nft(8) would make it
package ruleset

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// natPriority is one after dstnat, so that the rules of kube-proxy and of
// administrators at -100 decide first. Never -100 itself: at equal priority the
// chain that was registered last wins (nf_hook_entries_grow).
const natPriority = -99

// guard is the name of the chain that keeps 127.0.0.0/8 the host's own.
const guard = "guard"

// lastBase is the name of the last of baseChains.
const lastBase = "forward"

// GatewayGroup is the link group (IFLA_GROUP) of links of ours that are their containers' gateway. The
// number reads "br".
const GatewayGroup = 0x6272

// GatewayPortGroup is that of the bridge's ports that lead to such links in VLANs. The number reads "bv".
const GatewayPortGroup = 0x6276

// Base is the block of family inet that everything else needs.
func Base() nft.Block { return nft.Block{Place: nft.InBase, Last: lastBase, Chains: baseChains} }

// raw is the hook before connection tracking.
func raw() *nft.Hook {
	return &nft.Hook{Type: "filter", Name: "prerouting", Priority: -300, PriorityName: "raw"}
}

// baseChains are the chains that packets enter, and the one they share.
func baseChains() []nft.Chain {
	nat := func(name string) *nft.Hook { return &nft.Hook{Type: "nat", Name: name, Priority: natPriority} }
	published := []nft.Rule{nft.NewRule("a published port of this host", nft.DaddrLocal(), nft.Jump("hostports"))}
	loopback4 := netip.MustParsePrefix("127.0.0.0/8")
	return []nft.Chain{
		{Name: "hostports", Rules: []nft.Rule{
			// Only who asked the host itself has a reply that would miss it, not a service's client.
			nft.NewRule("clients ask at this address, IPv4", nft.NoteDaddr("asked4")),
			nft.NewRule("clients ask at this address, IPv6", nft.NoteDaddr("asked6")),
			nft.NewRule("who may use a port of one host address, IPv4", nft.PortVmap("hostgate4")),
			nft.NewRule("one host address, IPv4", nft.Dnat("hostport4")),
			nft.NewRule("who may use a port of one host address, IPv6", nft.PortVmap("hostgate6")),
			nft.NewRule("one host address, IPv6", nft.Dnat("hostport6")),
			nft.NewRule("an address of a service is not every host address, IPv4", nft.DaddrIn("vips4"), nft.Return()),
			nft.NewRule("who may use a port of any host address, IPv4", nft.PortVmap("anygate4")),
			nft.NewRule("any host address, IPv4", nft.Dnat("anyport4")),
			nft.NewRule("an address of a service is not every host address, IPv6", nft.DaddrIn("vips6"), nft.Return()),
			nft.NewRule("who may use a port of any host address, IPv6", nft.PortVmap("anygate6")),
			nft.NewRule("any host address, IPv6", nft.Dnat("anyport6")),
		}},
		{Name: "prerouting", Hook: nat("prerouting"), Rules: published},
		{Name: "output", Hook: nat("output"), Rules: published},
		{
			Name: "postrouting",
			Hook: &nft.Hook{Type: "nat", Name: "postrouting", Priority: 100, PriorityName: "srcnat"},
			Rules: []nft.Rule{
				nft.NewRule("clients whose replies would miss this host", nft.Forwarded(), nft.AskedAt("asked4"), nft.DaddrVmap("snat4")),
				nft.NewRule("clients whose replies would miss this host", nft.Forwarded(), nft.AskedAt("asked6"), nft.DaddrVmap("snat6")),
				nft.NewRule("containers that leave with the host's address", nft.SaddrVmap("masquerade4")),
				nft.NewRule("containers that leave with the host's address", nft.SaddrVmap("masquerade6")),
			},
		},
		{
			// route_localnet lets 127.0.0.1:hostPort work; without these rules it
			// would also let neighbours reach services bound to loopback.
			Name: guard,
			Hook: raw(),
			Rules: []nft.Rule{
				nft.NewRule("loopback addresses belong to the host alone", nft.NotLoopback(), nft.Daddr(loopback4), nft.Drop()),
				nft.NewRule("loopback addresses belong to the host alone", nft.NotLoopback(), nft.Saddr(loopback4), nft.Drop()),
			},
		},
		{
			// The kernel translates no packet that connection tracking can't place, such as a late RST:
			// it would leave with the container's address, or come from an address that the container
			// did not ask.
			Name: lastBase,
			Hook: &nft.Hook{Type: "filter", Name: "forward", Priority: -150, PriorityName: "mangle"},
			Rules: []nft.Rule{
				nft.NewRule("from containers, of no connection", nft.IsInvalid(), nft.Iifgroup(GatewayGroup), nft.Drop()),
				nft.NewRule("to containers, of no connection", nft.IsInvalid(), nft.Oifgroup(GatewayGroup), nft.Drop()),
			},
		},
	}
}

// Front are the rules that stand before those of the guard: it leaves the opened links alone, by
// which the host itself takes loopback addresses. Other chains have none.
func Front(c nft.Chain, opened func() []string) (rules []nft.Rule) {
	if c.Name != guard {
		return nil
	}
	for _, link := range opened() {
		rules = append(rules, nft.NewRule("the host itself takes loopback addresses by this link", nft.Iifname(link), nft.Accept()))
	}
	return rules
}

// Services is Change.Exactly for services' addresses and their devices. Nil changes nothing.
func Services(devices map[netip.Addr]string) map[nft.Class][]nft.Element {
	if devices == nil {
		return nil
	}
	list := []nft.Element{}
	for a, device := range devices {
		list = append(list, nft.Service(a, device))
	}
	return map[nft.Class][]nft.Element{nft.ClassService: list}
}
