package nft

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// What the names of networks' chains for these begin with.
const (
	hidePrefix  = "hide-"
	limitPrefix = "limit-"
)

// trafficChain looks at connections before any address is translated: what is for a
// container's own address was not published. It exists only where a network asks for
// it.
// lastTraffic is the name of the last of TrafficChains.
const lastTraffic = "traffic"

func trafficChain() Chain {
	return Chain{
		Name: lastTraffic,
		Hook: &hook{nftables.ChainTypeFilter, nftables.ChainHookPrerouting, -150, "type filter hook prerouting priority mangle"},
		Rules: []Rule{
			rule("containers that only their own bridge reaches", notEstablished(), verdictBy("hidden4", true, true)),
			rule("containers that only their own bridge reaches", notEstablished(), verdictBy("hidden6", false, true)),
			rule("containers with a limit of connections", isNew(), verdictBy("limited4", true, false)),
			rule("containers with a limit of connections", isNew(), verdictBy("limited6", false, false)),
		},
	}
}

// trafficSets are what trafficChain looks at.
func trafficSets(t *nftables.Table) []*nftables.Set {
	var sets []*nftables.Set
	for _, f := range []struct {
		name string
		addr nftables.SetDatatype
	}{{"4", nftables.TypeIPAddr}, {"6", nftables.TypeIP6Addr}} {
		sets = append(sets,
			&nftables.Set{Table: t, Name: "hidden" + f.name, IsMap: true, KeyType: f.addr, DataType: nftables.TypeVerdict, Comment: "container : its bridge"},
			&nftables.Set{Table: t, Name: "limited" + f.name, IsMap: true, KeyType: f.addr, DataType: nftables.TypeVerdict, Comment: "container : how many connections it may have"},
			&nftables.Set{Table: t, Name: "flows" + f.name, KeyType: f.addr, Dynamic: true, Size: 65535, Comment: "container : connections that it has opened"})
	}
	return append(sets, &nftables.Set{
		Table: t, Name: "restricted", KeyType: nftables.TypeIFName, KeyByteOrder: binaryutil.NativeEndian,
		Comment: "attachments with elements in hidden*, limited*",
	})
}

// TrafficBase is the nft(8) commands that make trafficChain, in the table of Base.
func TrafficBase() string {
	lines := strings.SplitAfterN(tableText("inet", trafficSets(nil), []Chain{trafficChain()}), "\n", 2)
	return lines[1] // the table is Base's
}

// TrafficChains is trafficChain, for a comparison.
func TrafficChains() []Chain { return []Chain{trafficChain()} }

// counting says whether the set is one that the kernel fills and empties by itself.
func counting(set string) bool { return set == "flows4" || set == "flows6" }

// HideChain drops what comes from anywhere but the link.
func HideChain(network, link string) Chain {
	return named(hidePrefix+network, []Rule{
		rule("from its own bridge", compareName(link, false), stop(expr.VerdictReturn)),
		rule("containers of "+network+" are reached by published ports alone", stop(expr.VerdictDrop)),
	})
}

// LimitChain drops new connections of a container that has as many already.
func LimitChain(network string, connections uint32) Chain {
	return named(limitPrefix+network, []Rule{
		rule("too many connections at once", countOver(true, connections), stop(expr.VerdictDrop)),
		rule("too many connections at once", countOver(false, connections), stop(expr.VerdictDrop)),
	})
}

// Hidden makes chain, which a HideChain names, decide who reaches the container.
func Hidden(container netip.Addr, chain, comment string) Element {
	return addressVerdict("hidden", container, chain, comment)
}

// Limited makes chain, which a LimitChain names, count the container's connections.
func Limited(container netip.Addr, chain, comment string) Element {
	return addressVerdict("limited", container, chain, comment)
}

func addressVerdict(set string, a netip.Addr, chain, comment string) Element {
	return Element{
		Set: set + family(a), Key: a.AsSlice(), Chain: chain, Comment: comment,
		text: fmt.Sprintf("%s : jump %s", a, chain),
	}
}

// Bits of ct state (NF_CT_STATE_BIT).
const (
	ctEstablished = 1 << 1
	ctRelated     = 1 << 2
	ctNew         = 1 << 3
)

func ctState(mask uint32, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: reg1},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: native(mask), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: reg1, Data: make([]byte, 4)},
	}
}

// notEstablished: ct state & (established|related) == 0
func notEstablished() part {
	return part{"ct state & (established|related) == 0", ctState(ctEstablished|ctRelated, expr.CmpOpEq)}
}

// isNew: ct state new
func isNew() part { return part{"ct state new", ctState(ctNew, expr.CmpOpNeq)} }

// countOver: add @flows4 { ip saddr ct count over 1000 }
func countOver(is4 bool, connections uint32) part {
	set := "flows6"
	if is4 {
		set = "flows4"
	}
	const add = 0 // NFT_DYNSET_OP_ADD
	text := fmt.Sprintf("add @%s { %s saddr ct count over %d }", set, family4(is4), connections)
	return part{text, append(isFamily(is4), address(is4, false), &expr.Dynset{
		SrcRegKey: reg1, SetName: set, Operation: add,
		Exprs: []expr.Any{&expr.Connlimit{Count: connections, Flags: expr.NFT_CONNLIMIT_F_INV}},
	})}
}
