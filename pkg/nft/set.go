package nft

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// Class is what the elements of a set say.
type Class int

// The classes. A set of none of them is not ours.
const (
	ClassPort       Class = iota + 1 // a port of the host : the container's address and port
	ClassGate                        // the same port : the chain that decides who may use it
	ClassReply                       // container : the chain that masquerades its clients
	ClassMasquerade                  // container : the chain that masquerades it
	ClassHidden                      // container : the chain that decides who reaches it
	ClassLimited                     // container : the chain that counts its connections
	ClassMAC                         // link, MAC address that it may send from
	ClassBound                       // link : the chain with the addresses that it may send from
	ClassMark                        // link of an owner with elements in the sets that the mark counts
	ClassService                     // an address of a service, on a dummy device
	ClassFlow                        // container : its connections; the kernel fills and empties the set
	ClassAsked                       // host address : a client asked there; the kernel fills the set
	ClassLoopback6                   // bridge through which [::1]:hostPort works
	ClassIsolated                    // container : the chain that keeps it apart from other networks
	ClassEgress                      // container : the chain that decides where it may send
	ClassNeighbours                  // link : the chain that decides to which neighbours it may send
	ClassHeard                       // UDP that a neighbour sent; the kernel fills the set
)

// Place is the Block whose rules look into a set, and which makes the set.
type Place int

// The places: the tables' names are the same, their families are not.
const (
	InBase       Place = iota // family inet
	InFrames                  // family bridge
	InTraffic                 // family inet; like all below only where a network asks for it
	InIsolation               // family inet
	InEgress                  // family inet
	InNeighbours              // family bridge
)

// Family is that of the place's table.
func (p Place) Family() Family {
	if p == InFrames || p == InNeighbours {
		return Bridge
	}
	return Inet
}

// Set is a set or map of our tables.
type Set struct {
	Name  string
	Place Place
	Class Class
	Key   string // types of its fields, as nft(8) names them
	Value string // of a map: the same, or "verdict" for a chain; "" for a set
	// Mark is the set that counts an owner's elements in this one; "" where they are no owner's.
	Mark    string
	Gate    string        // of ClassPort: the map of gates
	Chains  string        // of a map to chains: what the chains' names begin with
	Counter bool          // each element counts the connections that matched it
	Size    uint32        // of ClassFlow, ClassAsked and ClassHeard: how many elements; the kernel adds them
	Timeout time.Duration // of an element; 0 for none
	Comment string        // for people
}

// The sets of class ClassMark tell DEL with a single look-up whether an owner has anything.
const (
	MarkPublished   = "published"
	MarkMasqueraded = "masqueraded"
	MarkGuarded     = "guarded"
	MarkRestricted  = "restricted"
	MarkConfined    = "confined"
)

// What the names of chains begin with that elements lead to. A chain with BoundChains is an
// element's own and goes with it. The others are shared, and Tidy looks after them.
const (
	MasqueradeChains = "masq-"
	ReplyChains      = "snat-"
	GateChains       = "gate-"
	HideChains       = "hide-"
	LimitChains      = "limit-"
	BoundChains      = "bound-"
	IsolationChains  = "isolation-"
	EgressChains     = "egress-"
)

// Types of keys and values.
const (
	ip4, ip6, service = "ipv4_addr", "ipv6_addr", "inet_service"
	port, link        = "inet_proto . " + service, "ifname"
	verdict           = "verdict"
)

// sets is all sets, in the order in which they are made, listed and filled. A new kind of element is
// a row here, and a rule that looks into it. A set never changes once it is in the kernel.
var sets = []Set{
	{Name: "hostport4", Class: ClassPort, Key: ip4 + " . " + port, Value: ip4 + " . " + service, Mark: MarkPublished, Gate: "hostgate4", Counter: true, Comment: "host address, protocol, port : container address, port"},
	{Name: "anyport4", Class: ClassPort, Key: port, Value: ip4 + " . " + service, Mark: MarkPublished, Gate: "anygate4", Counter: true, Comment: "protocol, port of any host address : container address, port"},
	{Name: "hostport6", Class: ClassPort, Key: ip6 + " . " + port, Value: ip6 + " . " + service, Mark: MarkPublished, Gate: "hostgate6", Counter: true, Comment: "host address, protocol, port : container address, port"},
	{Name: "anyport6", Class: ClassPort, Key: port, Value: ip6 + " . " + service, Mark: MarkPublished, Gate: "anygate6", Counter: true, Comment: "protocol, port of any host address : container address, port"},
	{Name: "hostgate4", Class: ClassGate, Key: ip4 + " . " + port, Value: verdict, Mark: MarkPublished, Chains: GateChains, Comment: "host address, protocol, port : which clients may use it"},
	{Name: "anygate4", Class: ClassGate, Key: port, Value: verdict, Mark: MarkPublished, Chains: GateChains, Comment: "protocol, port of any host address : which clients may use it"},
	{Name: "hostgate6", Class: ClassGate, Key: ip6 + " . " + port, Value: verdict, Mark: MarkPublished, Chains: GateChains, Comment: "host address, protocol, port : which clients may use it"},
	{Name: "anygate6", Class: ClassGate, Key: port, Value: verdict, Mark: MarkPublished, Chains: GateChains, Comment: "protocol, port of any host address : which clients may use it"},
	{Name: "vips4", Class: ClassService, Key: ip4, Comment: "addresses of services, on dummy devices"},
	{Name: "vips6", Class: ClassService, Key: ip6, Comment: "addresses of services, on dummy devices"},
	{Name: "asked4", Class: ClassAsked, Key: ip4, Size: 65535, Comment: "addresses of the host that clients asked for a published port"},
	{Name: "asked6", Class: ClassAsked, Key: ip6, Size: 65535, Comment: "addresses of the host that clients asked for a published port"},
	{Name: "snat4", Class: ClassReply, Key: ip4, Value: verdict, Mark: MarkPublished, Chains: ReplyChains, Comment: "container with published ports : which clients need the host's address"},
	{Name: "snat6", Class: ClassReply, Key: ip6, Value: verdict, Mark: MarkPublished, Chains: ReplyChains, Comment: "container with published ports : which clients need the host's address"},
	{Name: "masquerade4", Class: ClassMasquerade, Key: ip4, Value: verdict, Mark: MarkMasqueraded, Chains: MasqueradeChains, Comment: "container : its network's masquerade rules"},
	{Name: "masquerade6", Class: ClassMasquerade, Key: ip6, Value: verdict, Mark: MarkMasqueraded, Chains: MasqueradeChains, Comment: "container : its network's masquerade rules"},
	{Name: MarkMasqueraded, Class: ClassMark, Key: link, Comment: "attachments with elements in masquerade4, masquerade6"},
	{Name: "loopback6", Class: ClassLoopback6, Key: link, Comment: "bridges through which [::1]:hostPort works"},
	{Name: MarkPublished, Class: ClassMark, Key: link, Comment: "attachments with elements in hostport*, anyport*, snat*"},

	{Name: MarkGuarded, Place: InFrames, Class: ClassMark, Key: link, Comment: "ports whose frames are checked"},
	{Name: "macs", Place: InFrames, Class: ClassMAC, Key: link + " . ether_addr", Mark: MarkGuarded, Comment: "port, MAC address it may send from"},
	{Name: "bound", Place: InFrames, Class: ClassBound, Key: link, Value: verdict, Mark: MarkGuarded, Chains: BoundChains, Comment: "port : the addresses that it may send from"},

	{Name: "hidden4", Place: InTraffic, Class: ClassHidden, Key: ip4, Value: verdict, Mark: MarkRestricted, Chains: HideChains, Comment: "container : its bridge"},
	{Name: "limited4", Place: InTraffic, Class: ClassLimited, Key: ip4, Value: verdict, Mark: MarkRestricted, Chains: LimitChains, Comment: "container : how many connections it may have"},
	{Name: "flows4", Place: InTraffic, Class: ClassFlow, Key: ip4, Size: 65535, Comment: "container : connections that it has opened"},
	{Name: "hidden6", Place: InTraffic, Class: ClassHidden, Key: ip6, Value: verdict, Mark: MarkRestricted, Chains: HideChains, Comment: "container : its bridge"},
	{Name: "limited6", Place: InTraffic, Class: ClassLimited, Key: ip6, Value: verdict, Mark: MarkRestricted, Chains: LimitChains, Comment: "container : how many connections it may have"},
	{Name: "flows6", Place: InTraffic, Class: ClassFlow, Key: ip6, Size: 65535, Comment: "container : connections that it has opened"},
	{Name: MarkRestricted, Place: InTraffic, Class: ClassMark, Key: link, Comment: "attachments with elements in hidden*, limited*, isolated*"},

	{Name: "isolated4", Place: InIsolation, Class: ClassIsolated, Key: ip4, Value: verdict, Mark: MarkRestricted, Chains: IsolationChains, Comment: "container : its bridge"},
	{Name: "isolated6", Place: InIsolation, Class: ClassIsolated, Key: ip6, Value: verdict, Mark: MarkRestricted, Chains: IsolationChains, Comment: "container : its bridge"},

	{Name: "egress4", Place: InEgress, Class: ClassEgress, Key: link + " . " + ip4, Value: verdict, Mark: MarkConfined, Chains: EgressChains, Comment: "link that its packets come in by, container : where it may send"},
	{Name: "egress6", Place: InEgress, Class: ClassEgress, Key: link + " . " + ip6, Value: verdict, Mark: MarkConfined, Chains: EgressChains, Comment: "link that its packets come in by, container : where it may send"},

	{Name: "neighbours", Place: InNeighbours, Class: ClassNeighbours, Key: link, Value: verdict, Mark: MarkConfined, Chains: EgressChains, Comment: "port : to which neighbours it may send"},
	{Name: "heard4", Place: InNeighbours, Class: ClassHeard, Key: ip4 + " . " + ip4 + " . " + service + " . " + service, Size: 65535, Timeout: time.Minute, Comment: "UDP that neighbours sent, as its answers look: source, destination, ports"},
	{Name: "heard6", Place: InNeighbours, Class: ClassHeard, Key: ip6 + " . " + ip6 + " . " + service + " . " + service, Size: 65535, Timeout: time.Minute, Comment: "UDP that neighbours sent, as its answers look: source, destination, ports"},
	{Name: MarkConfined, Place: InNeighbours, Class: ClassMark, Key: link, Comment: "attachments with elements in egress*, neighbours"},
}

// Sets is the table of all sets.
func Sets() []Set { return slices.Clone(sets) }

// setOf is the row with the name; the zero Set where it is none of ours.
func setOf(name string) Set {
	if i := slices.IndexFunc(sets, func(s Set) bool { return s.Name == name }); i >= 0 {
		return sets[i]
	}
	return Set{}
}

// nameOf is the set of a class whose key is an address of IPv4 or IPv6.
func nameOf(class Class, is4 bool) string {
	return pick(func(s Set) bool { return s.Class == class && s.is4() == is4 })
}

// portSet is the map of ports of one host address, or of any.
func portSet(one, is4 bool) string {
	return pick(func(s Set) bool {
		return s.Class == ClassPort && (s.Key != port) == one && strings.HasPrefix(s.Value, addressType(is4))
	})
}

// ofLinks is the set of a class that is keyed by links.
func ofLinks(class Class) string { return pick(func(s Set) bool { return s.Class == class }) }

func pick(is func(Set) bool) string { return sets[slices.IndexFunc(sets, is)].Name }

func addressType(is4 bool) string {
	if is4 {
		return ip4
	}
	return ip6
}

// Marks are the names of the sets of class ClassMark.
func Marks() []string { return names(func(s Set) bool { return s.Class == ClassMark }) }

// CountedBy are the names of the sets in which the mark counts an owner's elements.
func CountedBy(mark string) []string { return names(func(s Set) bool { return s.Mark == mark }) }

func names(is func(Set) bool) (list []string) {
	for _, s := range sets {
		if is(s) {
			list = append(list, s.Name)
		}
	}
	return list
}

// sharedChains begin the names of all chains to which elements of several owners lead.
func sharedChains() (prefixes []string) {
	for _, s := range sets {
		if s.Chains != "" && s.Chains != BoundChains {
			prefixes = append(prefixes, s.Chains)
		}
	}
	slices.Sort(prefixes)
	return slices.Compact(prefixes)
}

// is4 says whether the set is for IPv4; false where it is for both families.
func (s Set) is4() bool {
	switch s.Class {
	case ClassGate:
		return sets[slices.IndexFunc(sets, func(p Set) bool { return p.Gate == s.Name })].is4()
	case ClassPort:
		return strings.HasPrefix(s.Value, ip4)
	}
	return strings.HasPrefix(strings.TrimPrefix(s.Key, link+" . "), ip4)
}

// owned says whether the elements are attachments'.
func (s Set) owned() bool { return s.Class == ClassMark || s.Mark != "" }

// String is the nft(8) command that makes the set.
func (s Set) String() string {
	kind, value, count := "set", "", ""
	if s.Value != "" {
		kind, value = "map", " : "+s.Value
	}
	if s.Counter {
		count = "counter ; "
	}
	if s.Size > 0 {
		count += fmt.Sprintf("size %d ; flags dynamic", s.Size)
		if s.Timeout > 0 {
			count += fmt.Sprintf(", timeout ; timeout %ds", s.Timeout/time.Second)
		}
		count += " ; "
	}
	return command("add %s %s %s %s { type %s%s ; %scomment %q ; }", kind, s.Place.Family(), Table, s.Name, s.Key, value, count, s.Comment)
}

// in is the set as the library makes it.
func (s Set) in(t *nftables.Table) *nftables.Set {
	set := &nftables.Set{
		Table: t, Name: s.Name, KeyType: datatype(s.Key), Comment: s.Comment,
		IsMap: s.Value != "", Counter: s.Counter, Dynamic: s.Size > 0, Size: s.Size,
		HasTimeout: s.Timeout > 0, Timeout: s.Timeout,
	}
	if set.IsMap {
		set.DataType = datatype(s.Value)
	}
	if s.Key == link {
		set.KeyByteOrder = binaryutil.NativeEndian
	}
	return set
}

// datatype finds the library's type by nft's names of its fields.
func datatype(fields string) nftables.SetDatatype {
	list := datatypes(fields)
	if len(list) == 1 {
		return list[0]
	}
	return nftables.MustConcatSetType(list...)
}

func datatypes(fields string) []nftables.SetDatatype {
	return nftables.ConcatSetTypeElements(nftables.SetDatatype{Name: fields})
}
