package schedules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// attachment is a container's place in a network, as a runtime asks for it.
type attachment struct {
	id      string
	network network
	address int // the last part of its addresses; 0: the plugin chooses them
	port    int // the hostPort; 0: none
}

// network is plugins in the order of ADD.
type network struct {
	name    string
	plugins func(r *room) []stage.Conf
}

func pool(r *room, net int) stage.Conf {
	return stage.HostLocal(r.Data(), fmt.Sprintf("10.%d.0.0/24", net), fmt.Sprintf("fd66:%d::/64", net))
}

func bridge(r *room, net int) stage.Conf {
	return stage.Conf{"type": "bridge", "bridge": "sched0", "isDefaultGateway": true, "ipMasq": true, "macspoofchk": true, "hairpinMode": true, "ipam": pool(r, net)}
}

var (
	publishing = stage.Conf{"capabilities": stage.Conf{"portMappings": true}}
	byIptables = stage.Conf{"ipMasqBackend": "iptables", "backend": "iptables", "macspoofchk": nil}
)

func portmap() stage.Conf { return stage.Conf{"type": "portmap"}.With(publishing) }

var (
	// one is bridge that publishes ports itself; beside is another network on its bridge.
	// Other plugins' bridge publishes none.
	one = network{"one", func(r *room) []stage.Conf {
		return []stage.Conf{bridge(r, 66).With(publishing).With(stage.Confined())}
	}}
	beside = network{"beside", func(r *room) []stage.Conf { return []stage.Conf{bridge(r, 67).With(publishing)} }}
	chain  = network{"chain", func(r *room) []stage.Conf { return []stage.Conf{bridge(r, 66), portmap()} }}
	leases = network{"leases", func(r *room) []stage.Conf {
		return []stage.Conf{{"type": "host-local", "ipam": pool(r, 66)}}
	}}
	// last has room for one more container than the neighbour.
	last = network{"last", func(r *room) []stage.Conf {
		return []stage.Conf{{"type": "host-local", "ipam": stage.Conf{
			"type": "host-local", "dataDir": r.Data(), "ranges": [][]stage.Conf{{{"subnet": "10.68.0.0/29", "rangeStart": "10.68.0.2", "rangeEnd": "10.68.0.3"}}},
		}}}
	}}
	iptables = network{"iptables", func(r *room) []stage.Conf {
		return []stage.Conf{bridge(r, 66).With(byIptables), portmap().With(byIptables)}
	}}
)

// verb is what one of the two programs does.
type verb struct {
	name   string // a verb of CNI, or a sub-command that changes something: see operated
	plugin int    // in the order of ADD
	of     attachment
	keep   []attachment // that GC is told
}

// pair is two verbs that meet.
type pair struct {
	name   string
	cold   bool         // nobody else is there: what is shared is made and retired, too
	before []attachment // attached
	until  int          // by so many plugins; 0 for all
	broken bool         // then the rules are deleted
	hand   []attachment // that have handPort, added by hand
	verbs  [2]verb
	// loose is why the two may end as neither order would: the specification has
	// runtimes never do it. What follows must still take everything back.
	loose string
	// alike are the two: it does not matter which one is first.
	alike bool
	// slow pairs run programs of iptables; each is stopped once, at its own effects.
	slow bool
}

const (
	sameContainer = "runtimes call one verb at a time for a container"
	idleGateway   = "an ADD on the same bridge may take a gateway away whose network has no lease"
	unknownToGC   = "a runtime tells GC all attachments, those that it is making, too"
)

var (
	a      = attachment{"a", one, 12, 8012}
	b      = attachment{"b", one, 13, 8013}
	port   = attachment{"port", one, 14, 8012}    // a's port
	addr   = attachment{"address", one, 12, 8014} // a's address
	other  = attachment{"other", beside, 12, 8015}
	rival  = attachment{"rival", beside, 13, 8012} // a's port
	ca     = attachment{"ca", chain, 12, 8012}
	cb     = attachment{"cb", chain, 13, 8012}
	la     = attachment{"la", leases, 0, 0}
	lb     = attachment{"lb", leases, 0, 0}
	fa     = attachment{"fa", last, 0, 0}
	fb     = attachment{"fb", last, 0, 0}
	ia     = attachment{"ia", iptables, 12, 8012}
	ib     = attachment{"ib", iptables, 13, 8013}
	ip     = attachment{"ip", iptables, 14, 8012} // ia's port
	late   = attachment{"late", one, 14, handPort}
	repair = verb{name: "repair"}
)

// handPort is the port that publish adds.
const handPort = 8020

func add(x attachment) verb   { return verb{name: "ADD", of: x} }
func del(x attachment) verb   { return verb{name: "DEL", of: x} }
func check(x attachment) verb { return verb{name: "CHECK", of: x} }
func gc(n network, keep ...attachment) verb {
	return verb{name: "GC", of: attachment{network: n}, keep: keep}
}
func publish(x attachment) verb   { return verb{name: "publish", of: x} }
func unpublish(x attachment) verb { return verb{name: "unpublish", of: x} }

// operated says whether the verb is a sub-command of bridgeport.
func (v verb) operated() bool {
	return slices.Contains([]string{"repair", "publish", "unpublish"}, v.name)
}
func (v verb) by(plugin int) verb          { v.plugin = plugin; return v }
func with(list ...attachment) []attachment { return list }
func meet(x, y verb) [2]verb               { return [2]verb{x, y} }

// pairs are all pairs of verbs that have something in common.
var pairs = []pair{
	{name: "ADD, ADD: network", alike: true, verbs: meet(add(a), add(b))},
	{name: "ADD, ADD: the first two", alike: true, cold: true, verbs: meet(add(a), add(b))},
	{name: "ADD, ADD: port", alike: true, verbs: meet(add(a), add(port))},
	{name: "ADD, ADD: address", alike: true, verbs: meet(add(a), add(addr))},
	{name: "ADD, ADD: bridge", cold: true, verbs: meet(add(a), add(other))},
	{name: "ADD, ADD: bridge and port", verbs: meet(add(a), add(rival))},
	{name: "ADD, ADD: lease directory", alike: true, verbs: meet(add(la), add(lb))},
	{name: "ADD, ADD: the last address", alike: true, verbs: meet(add(fa), add(fb))},
	{name: "ADD, ADD: container", alike: true, verbs: meet(add(a), add(a)), loose: sameContainer},
	{name: "ADD, ADD: port of portmap", alike: true, before: with(ca, cb), until: 1, verbs: meet(add(ca).by(1), add(cb).by(1))},
	{name: "ADD, DEL: network", before: with(b), verbs: meet(add(a), del(b))},
	{name: "ADD, DEL: the last one goes", cold: true, before: with(b), verbs: meet(add(a), del(b))},
	{name: "ADD, DEL: port", before: with(a), verbs: meet(add(port), del(a))},
	{name: "ADD, DEL: address", before: with(a), verbs: meet(add(addr), del(a))},
	{name: "ADD, DEL: bridge", cold: true, before: with(a), verbs: meet(add(other), del(a)), loose: idleGateway},
	{name: "ADD, DEL: lease directory", before: with(la), verbs: meet(add(lb), del(la))},
	{name: "ADD, DEL: the last address", before: with(fa), verbs: meet(add(fb), del(fa))},
	{name: "ADD, DEL: container", verbs: meet(add(a), del(a)), loose: sameContainer},
	{name: "ADD, CHECK: network", before: with(b), verbs: meet(add(a), check(b))},
	{name: "ADD, CHECK: bridge", cold: true, before: with(a), verbs: meet(add(other), check(a))},
	{name: "ADD, GC: network", before: with(b), verbs: meet(add(a), gc(one, a))},
	{name: "ADD, GC: the last one goes", cold: true, before: with(b), verbs: meet(add(a), gc(one, a))},
	{name: "ADD, GC: bridge", cold: true, before: with(a), verbs: meet(add(other), gc(one))},
	{name: "ADD, GC: port", before: with(a), verbs: meet(add(port), gc(one, port))},
	{name: "ADD, GC: lease directory", before: with(la), verbs: meet(add(lb), gc(leases, lb))},
	{name: "ADD, GC: unknown", verbs: meet(add(a), gc(one)), loose: unknownToGC},
	{name: "ADD, repair: network", before: with(b), broken: true, verbs: meet(add(a), repair)},
	{name: "ADD, repair: port", before: with(a), broken: true, verbs: meet(add(port), repair)},
	{name: "DEL, DEL: network", alike: true, before: with(a, b), verbs: meet(del(a), del(b))},
	{name: "DEL, DEL: the last two", alike: true, cold: true, before: with(a, b), verbs: meet(del(a), del(b))},
	{name: "DEL, DEL: bridge", cold: true, before: with(a, other), verbs: meet(del(a), del(other))},
	{name: "DEL, DEL: container", alike: true, before: with(a), verbs: meet(del(a), del(a))},
	{name: "DEL, DEL: lease directory", alike: true, before: with(la, lb), verbs: meet(del(la), del(lb))},
	{name: "DEL, CHECK: network", before: with(a, b), verbs: meet(del(a), check(b))},
	{name: "DEL, CHECK: container", before: with(a), verbs: meet(del(a), check(a)), loose: sameContainer},
	{name: "DEL, GC: network", before: with(a, b), verbs: meet(del(a), gc(one, a))},
	{name: "DEL, GC: container", cold: true, before: with(a, b), verbs: meet(del(a), gc(one, b))},
	{name: "DEL, GC: the last one goes", cold: true, before: with(a), verbs: meet(del(a), gc(one))},
	{name: "DEL, GC: lease directory", before: with(la, lb), verbs: meet(del(la), gc(leases, la))},
	{name: "DEL, repair: network", before: with(a, b), broken: true, verbs: meet(del(a), repair)},
	{name: "DEL, repair: container", before: with(a), broken: true, verbs: meet(del(a), repair)},
	{name: "CHECK, CHECK: network", alike: true, before: with(a, b), verbs: meet(check(a), check(b))},
	{name: "CHECK, GC: network", before: with(a, b), verbs: meet(check(a), gc(one, a))},
	{name: "CHECK, GC: bridge", cold: true, before: with(a, other), verbs: meet(check(other), gc(one))},
	{name: "CHECK, repair: container", before: with(a), broken: true, verbs: meet(check(a), repair)},
	{name: "GC, GC: network", alike: true, cold: true, before: with(a, b), verbs: meet(gc(one, b), gc(one, b))},
	{name: "GC, GC: bridge", cold: true, before: with(a, other), verbs: meet(gc(one), gc(beside))},
	{name: "GC, repair: network", before: with(a, b), broken: true, verbs: meet(gc(one, a), repair)},
	{name: "repair, repair", alike: true, before: with(a, b), broken: true, verbs: meet(repair, repair)},
	{name: "publish, ADD: port", before: with(a), verbs: meet(publish(a), add(late))},
	{name: "publish, DEL: container", before: with(a), verbs: meet(publish(a), del(a))},
	{name: "publish, CHECK: container", before: with(a), verbs: meet(publish(a), check(a))},
	{name: "publish, GC: network", before: with(a, b), verbs: meet(publish(a), gc(one, a))},
	{name: "publish, GC: container", before: with(a, b), verbs: meet(publish(a), gc(one, b))},
	{name: "publish, publish: port", alike: true, before: with(a, b), verbs: meet(publish(a), publish(b))},
	{name: "unpublish, ADD: port", before: with(a), hand: with(a), verbs: meet(unpublish(a), add(late))},
	{name: "unpublish, DEL: container", before: with(a), hand: with(a), verbs: meet(unpublish(a), del(a))},
	{name: "unpublish, publish: port", before: with(a, b), hand: with(a), verbs: meet(unpublish(a), publish(b))},
	{name: "ADD, ADD: network, iptables", alike: true, verbs: meet(add(ia), add(ib)), slow: true},
	{name: "ADD, ADD: port, iptables", alike: true, before: with(ia, ip), until: 1, verbs: meet(add(ia).by(1), add(ip).by(1)), slow: true},
	{name: "ADD, DEL: network, iptables", before: with(ib), verbs: meet(add(ia), del(ib)), slow: true},
	{name: "ADD, DEL: port, iptables", before: with(ia), verbs: meet(del(ia).by(1), add(ib)), slow: true},
	{name: "DEL, DEL: ports, iptables", alike: true, before: with(ia, ib), verbs: meet(del(ia).by(1), del(ib).by(1)), slow: true},
	{name: "DEL, GC: network, iptables", before: with(ia, ib), verbs: meet(del(ia), gc(iptables, ia)), slow: true},
}

// known says whether other plugins than ours can be asked for the pair: they retire nothing that
// is shared, and have no repair; what needs a port that bridge publishes itself is ours alone.
func (p pair) known() bool {
	for _, v := range p.verbs {
		if v.operated() || v.of.network.name == "one" && strings.Contains(p.name, "port") {
			return false
		}
	}
	return !p.cold
}
