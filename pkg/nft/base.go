// Package nft holds the rules: base chains that are written once, and elements of
// sets and maps that attachments add and delete. It knows nothing of plans, and is
// the only importer of google/nftables. Kernel: 5.4 or newer with nf_tables.
package nft

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// Table is the name of our table, in family inet. Nobody else's is touched.
const Table = "bridgeport"

// natPriority is one after dstnat, so that the rules of kube-proxy and of
// administrators at -100 decide first. Never -100 itself: at equal priority the
// chain that was registered last wins (nf_hook_entries_grow).
const natPriority = -99

// lastBase is the name of the last of baseChains: where it is, all are.
const lastBase = "guard"

// baseChains are the chains that packets enter, and the one they share.
func baseChains() []Chain {
	natHook := func(h *nftables.ChainHook, name string) *hook {
		return &hook{nftables.ChainTypeNAT, h, natPriority, "type nat hook " + name + " priority -99"}
	}
	published := []Rule{rule("a published port of this host", toLocal(), jump("hostports"))}
	return []Chain{
		{Name: "hostports", Rules: []Rule{
			rule("who may use a port of one host address, IPv4", gateByPort("hostgate4", true, true)),
			rule("one host address, IPv4", dnatByPort("hostport4", true, true)),
			rule("who may use a port of one host address, IPv6", gateByPort("hostgate6", false, true)),
			rule("one host address, IPv6", dnatByPort("hostport6", false, true)),
			rule("an address of a service is not every host address, IPv4", inSet(vips4, true), stop(expr.VerdictReturn)),
			rule("who may use a port of any host address, IPv4", gateByPort("anygate4", true, false)),
			rule("any host address, IPv4", dnatByPort("anyport4", true, false)),
			rule("an address of a service is not every host address, IPv6", inSet(vips6, false), stop(expr.VerdictReturn)),
			rule("who may use a port of any host address, IPv6", gateByPort("anygate6", false, false)),
			rule("any host address, IPv6", dnatByPort("anyport6", false, false)),
		}},
		{Name: "prerouting", Hook: natHook(nftables.ChainHookPrerouting, "prerouting"), Rules: published},
		{Name: "output", Hook: natHook(nftables.ChainHookOutput, "output"), Rules: published},
		{
			Name: "postrouting",
			Hook: &hook{nftables.ChainTypeNAT, nftables.ChainHookPostrouting, 100, "type nat hook postrouting priority srcnat"},
			Rules: []Rule{
				rule("clients whose replies would miss this host", forwarded(), verdictBy("snat4", true, true)),
				rule("clients whose replies would miss this host", forwarded(), verdictBy("snat6", false, true)),
				rule("containers that leave with the host's address", verdictBy("masquerade4", true, false)),
				rule("containers that leave with the host's address", verdictBy("masquerade6", false, false)),
			},
		},
		{
			// route_localnet lets 127.0.0.1:hostPort work; without these rules it
			// would also let neighbours reach services bound to loopback.
			Name: lastBase,
			Hook: &hook{nftables.ChainTypeFilter, nftables.ChainHookPrerouting, -300, "type filter hook prerouting priority raw"},
			Rules: []Rule{
				rule("loopback addresses belong to the host alone", notLoopback(), destination(loopback4()), stop(expr.VerdictDrop)),
				rule("loopback addresses belong to the host alone", notLoopback(), source(loopback4()), stop(expr.VerdictDrop)),
			},
		},
	}
}

// counted counts in each element the connections that matched it: the chains of NAT
// see the first packet of each. The kernel makes the counter, so that adding an element
// costs no byte more.
func counted(s *nftables.Set) *nftables.Set {
	s.Counter = true
	return s
}

// baseSets are the sets and maps that hold the attachments.
func baseSets(t *nftables.Table) []*nftables.Set {
	port := func(addr ...nftables.SetDatatype) nftables.SetDatatype {
		return nftables.MustConcatSetType(append(addr, nftables.TypeInetProto, nftables.TypeInetService)...)
	}
	target := func(addr nftables.SetDatatype) nftables.SetDatatype {
		return nftables.MustConcatSetType(addr, nftables.TypeInetService)
	}
	ip4, ip6 := nftables.TypeIPAddr, nftables.TypeIP6Addr
	mapOf := func(name, comment string, key, value nftables.SetDatatype) *nftables.Set {
		return &nftables.Set{Table: t, Name: name, IsMap: true, KeyType: key, DataType: value, Comment: comment}
	}
	names := func(name, comment string) *nftables.Set {
		return &nftables.Set{
			Table: t, Name: name, KeyType: nftables.TypeIFName, Comment: comment,
			KeyByteOrder: binaryutil.NativeEndian,
		}
	}
	return []*nftables.Set{
		counted(mapOf("hostport4", "host address, protocol, port : container address, port", port(ip4), target(ip4))),
		counted(mapOf("anyport4", "protocol, port of any host address : container address, port", port(), target(ip4))),
		counted(mapOf("hostport6", "host address, protocol, port : container address, port", port(ip6), target(ip6))),
		counted(mapOf("anyport6", "protocol, port of any host address : container address, port", port(), target(ip6))),
		mapOf("hostgate4", "host address, protocol, port : which clients may use it", port(ip4), nftables.TypeVerdict),
		mapOf("anygate4", "protocol, port of any host address : which clients may use it", port(), nftables.TypeVerdict),
		mapOf("hostgate6", "host address, protocol, port : which clients may use it", port(ip6), nftables.TypeVerdict),
		mapOf("anygate6", "protocol, port of any host address : which clients may use it", port(), nftables.TypeVerdict),
		{Table: t, Name: vips4, KeyType: ip4, Comment: "addresses of services, on dummy devices"},
		{Table: t, Name: vips6, KeyType: ip6, Comment: "addresses of services, on dummy devices"},
		mapOf("snat4", "container with published ports : which clients need the host's address", ip4, nftables.TypeVerdict),
		mapOf("snat6", "container with published ports : which clients need the host's address", ip6, nftables.TypeVerdict),
		mapOf("masquerade4", "container : its network's masquerade rules", ip4, nftables.TypeVerdict),
		mapOf("masquerade6", "container : its network's masquerade rules", ip6, nftables.TypeVerdict),
		names("masqueraded", "attachments with elements in masquerade4, masquerade6"),
		names(loop6Set, "bridges through which [::1]:hostPort works"),
		names("published", "attachments with elements in hostport*, anyport*, snat*"),
	}
}

// Base is the nft(8) commands that make table, sets and base chains.
func Base() string { return tableText("inet", baseSets(nil), baseChains()) }

// LinkBase is the same for family bridge.
func LinkBase() string { return tableText("bridge", linkSets(nil), linkChains()) }

func tableText(family string, sets []*nftables.Set, chains []Chain) string {
	lines := []string{fmt.Sprintf("nft add table %s %s", family, Table)}
	for _, s := range sets {
		lines = append(lines, setText(family, s))
	}
	for _, c := range chains {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

func setText(family string, s *nftables.Set) string {
	kind, value := "set", ""
	if s.IsMap {
		kind, value = "map", " : "+s.DataType.Name
	}
	count := ""
	if s.Counter {
		count = "counter ; "
	}
	return fmt.Sprintf("nft add %s %s %s %s { type %s%s ; %scomment %q ; }", kind, family, Table, s.Name, s.KeyType.Name, value, count, s.Comment)
}

func loopback4() netip.Prefix { return netip.MustParsePrefix("127.0.0.0/8") }
