package differential

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

type object = map[string]any

// configuration is what both sides are given.
type configuration struct {
	name    string
	keys    object      // of the network configuration, without ipam
	ipam    object      // nil for layer 2
	sets    []rangeSet  // what ipam says, for other keys that must fit it
	args    []string    // CNI_ARGS
	rawArgs string      // CNI_ARGS as they are, in place of args
	setup   string      // what is there before, see twin.prepare
	boxes   int         // containers
	resolv  bool        // ipam.resolvConf names a file
	netns   string      // in place of the container's path
	refused bool        // neither side may attach all containers
	gc      *collection // in place of attachments
	needs   feature     // without it the configuration is left out
}

// feature is something that not every machine has.
type feature string

const (
	anyMachine    feature = ""
	vlanFiltering feature = "bridge VLAN filtering in the kernel"
	nftProgram    feature = "the program nft, which the reference runs"
	iptables      feature = "the program iptables, which the reference runs"
)

// rangeSet is a set of ranges; subnets and gateways only of the first.
type rangeSet struct {
	subnet  netip.Prefix
	gateway netip.Addr
	ranges  []object
}

// oneRange is a set over the subnet, with further keys for its range.
func oneRange(subnet string, keys object) rangeSet {
	s := rangeSet{subnet: netip.MustParsePrefix(subnet)}
	s.gateway = s.subnet.Addr().Next()
	if gw, ok := keys["gateway"]; ok {
		s.gateway = netip.MustParseAddr(gw.(string))
	}
	r := object{"subnet": subnet}
	maps.Copy(r, keys)
	s.ranges = []object{r}
	return s
}

// and is the set with one more range.
func (s rangeSet) and(subnet string, keys object) rangeSet {
	s.ranges = append(slices.Clone(s.ranges), oneRange(subnet, keys).ranges...)
	return s
}

// nth is an address of the subnet.
func (s rangeSet) nth(n int) netip.Addr {
	a := s.subnet.Addr()
	for range n {
		a = a.Next()
	}
	return a
}

func (s rangeSet) is4() bool { return s.subnet.Addr().Is4() }

// lease makes host-local the IPAM plugin, with these sets.
func (c *configuration) lease(sets ...rangeSet) {
	lists := make([][]object, len(sets))
	for i, s := range sets {
		lists[i] = s.ranges
	}
	c.ipam = object{"type": "host-local", "ranges": lists}
	c.sets = sets
}

// route adds a route for each family that the container has addresses of. keys may
// name a gateway for both: "4" and "6" at its end are cut off.
func (c *configuration) route(dst4, dst6 string, keys object) {
	routes, _ := c.ipam["routes"].([]object)
	done := make(map[bool]bool)
	for _, s := range c.sets {
		if done[s.is4()] {
			continue
		}
		done[s.is4()] = true
		r := object{"dst": dst6}
		if s.is4() {
			r["dst"] = dst4
		}
		maps.Copy(r, keys)
		if _, ok := r["gw"]; ok {
			r["gw"] = s.nth(7).String()
		}
		routes = append(routes, r)
	}
	c.ipam["routes"] = routes
}

// runtime sets a key of what the runtime adds for capabilities.
func (c *configuration) runtime(key string, v any) {
	merge(c.keys, "runtimeConfig", key, v)
}

// cniArgs sets a key below "args".
func (c *configuration) cniArgs(key string, v any) {
	below, _ := c.keys["args"].(object)
	if below == nil {
		below = object{}
		c.keys["args"] = below
	}
	merge(below, "cni", key, v)
}

func merge(o object, parent, key string, v any) {
	below, _ := o[parent].(object)
	if below == nil {
		below = object{}
		o[parent] = below
	}
	below[key] = v
}

// bridgeName is what the configuration says, or the default.
func (c *configuration) bridgeName() string {
	if name, ok := c.keys["bridge"].(string); ok {
		return name
	}
	return "cni0"
}

func (c *configuration) flag(key string) bool {
	on, _ := c.keys[key].(bool)
	return on
}

// checks says whether the version has CHECK.
func (c *configuration) checks() bool {
	version, _ := c.keys["cniVersion"].(string)
	return version >= "0.4.0"
}

// stdin is the configuration as a plugin reads it, with the directory for leases
// and further keys.
func (c *configuration) stdin(dataDir, resolv string, more object) ([]byte, error) {
	keys := maps.Clone(c.keys)
	if c.ipam != nil {
		ipam := maps.Clone(c.ipam)
		ipam["dataDir"] = dataDir
		if _, ok := ipam["resolvConf"]; !ok && c.resolv {
			ipam["resolvConf"] = resolv
		}
		keys["ipam"] = ipam
	}
	maps.Copy(keys, more)
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return text, nil
}

func (c *configuration) envArgs() string {
	if len(c.args) == 0 {
		return c.rawArgs
	}
	// The reference's bridge does not know host-local's keys, nor the other way round.
	return strings.Join(append([]string{"IgnoreUnknown=1"}, c.args...), ";")
}

// blank is what every configuration begins with.
func blank(name string) *configuration {
	return &configuration{
		name: name, boxes: 1,
		keys: object{"cniVersion": "1.1.0", "name": "lan", "type": "bridge", "bridge": "lan0"},
	}
}

// generated are the rows of the pairwise generator.
func generated() []*configuration {
	rows := pairwise(parameters, allowed)
	if stage.Slow() > 1 {
		rows = eachValue(rows)
	}
	var list []*configuration
	for _, row := range rows {
		var words []string
		c := blank("")
		for i, ch := range row {
			_, name := ch.of()
			at := slices.IndexFunc(parameters[i].values, func(v value) bool { return v.name == name })
			if apply := parameters[i].values[at].apply; apply != nil {
				apply(c)
			}
			if at > 0 { // the first value is the usual one
				words = append(words, string(ch))
			}
		}
		c.name = cmp.Or(strings.Join(words, " "), "usual")
		list = append(list, c)
	}
	return list
}

// eachValue leaves rows in which each value occurs, for slow machines.
func eachValue(rows [][]choice) [][]choice {
	seen := make(map[choice]bool)
	return slices.DeleteFunc(rows, func(row []choice) bool {
		news := false
		for _, c := range row {
			news = news || !seen[c]
			seen[c] = true
		}
		return !news
	})
}
