package differential

import (
	"slices"
	"strings"
)

// Subnets of the containers.
const (
	lan4, other4 = "10.61.0.0/24", "10.62.0.0/24"
	lan6, other6 = "fd61::/64", "fd62::/64"
	givenMAC     = "02:61:00:00:00:07"
)

// set is a choice that sets one key of the bridge.
func set(name, key string, v any) value {
	return value{name, func(c *configuration) { c.keys[key] = v }}
}

func usual(name string) value { return value{name: name} }

// parameters are all keys with what they may be; the first value of each is the
// usual one. "ipam" comes early: later ones look at its subnets.
var parameters = []parameter{
	{"version", []value{
		usual("1.1.0"), set("1.0.0", "cniVersion", "1.0.0"), set("0.4.0", "cniVersion", "0.4.0"),
		set("0.3.1", "cniVersion", "0.3.1"), set("0.3.0", "cniVersion", "0.3.0"), set("0.2.0", "cniVersion", "0.2.0"),
	}},
	{"ipam", []value{
		{"v4", func(c *configuration) { c.lease(oneRange(lan4, nil)) }},
		{"v6", func(c *configuration) { c.lease(oneRange(lan6, nil)) }},
		{"dual", func(c *configuration) { c.lease(oneRange(lan4, nil), oneRange(lan6, nil)) }},
		{"l2", nil},
		{"ranges4", func(c *configuration) { c.lease(oneRange(lan4, object{"rangeEnd": "10.61.0.60"}).and(other4, nil)) }},
		{"ranges6", func(c *configuration) { c.lease(oneRange(lan6, object{"rangeEnd": "fd61::60"}).and(other6, nil)) }},
		{"sets4", func(c *configuration) { c.lease(oneRange(lan4, nil), oneRange(other4, nil)) }},
		{"sets6", func(c *configuration) { c.lease(oneRange(lan6, nil), oneRange(other6, nil)) }},
		{"part", func(c *configuration) {
			c.lease(oneRange(lan4, object{"rangeStart": "10.61.0.32", "rangeEnd": "10.61.0.63"}), oneRange(lan6, object{"rangeStart": "fd61::20"}))
		}},
		{"gateway", func(c *configuration) {
			c.lease(oneRange(lan4, object{"gateway": "10.61.0.254"}), oneRange(lan6, object{"gateway": "fd61::ff"}))
		}},
		{"old", func(c *configuration) {
			c.lease(oneRange(lan4, object{"rangeStart": "10.61.0.30", "gateway": "10.61.0.9"}))
			c.ipam = object{"type": "host-local", "subnet": lan4, "rangeStart": "10.61.0.30", "gateway": "10.61.0.9"}
		}},
		{"old+new", func(c *configuration) {
			c.lease(oneRange(lan6, nil))
			c.ipam["subnet"] = lan4
			c.sets = []rangeSet{oneRange(lan4, nil), oneRange(lan6, nil)}
		}},
		{"runtime", func(c *configuration) {
			c.lease(oneRange(lan6, nil))
			c.runtime("ipRanges", [][]object{oneRange(lan4, nil).ranges})
			c.sets = []rangeSet{oneRange(lan4, nil), oneRange(lan6, nil)}
		}},
	}},
	{"gw", []value{usual("none"), set("is", "isGateway", true), set("default", "isDefaultGateway", true)}},
	{"routes", []value{
		usual("none"),
		{"dst", func(c *configuration) { c.route("192.0.2.0/24", "2001:db8:7::/48", nil) }},
		{"gw", func(c *configuration) { c.route("192.0.2.0/24", "2001:db8:7::/48", object{"gw": ""}) }},
		{"priority", func(c *configuration) { c.route("192.0.2.0/24", "2001:db8:7::/48", object{"priority": 77}) }},
		{"table", func(c *configuration) { c.route("192.0.2.0/24", "2001:db8:7::/48", object{"table": 600}) }},
		{"default", func(c *configuration) { c.route("0.0.0.0/0", "::/0", nil) }},
		{"default+gw", func(c *configuration) { c.route("0.0.0.0/0", "::/0", object{"gw": ""}) }},
		{"several", func(c *configuration) {
			c.route("192.0.2.0/24", "2001:db8:7::/48", object{"priority": 5, "table": 77})
			c.route("192.0.3.0/24", "2001:db8:8::/48", nil)
		}},
	}},
	{"masq", []value{usual("no"), set("yes", "ipMasq", true)}},
	{"mtu", []value{usual("none"), set("1400", "mtu", 1400), set("9000", "mtu", 9000)}},
	{"port", []value{
		usual("plain"), set("hairpin", "hairpinMode", true), set("promisc", "promiscMode", true),
		set("isolated", "portIsolation", true),
		{"hairpin+isolated", func(c *configuration) { c.keys["hairpinMode"], c.keys["portIsolation"] = true, true }},
	}},
	{"dad", []value{usual("no"), set("yes", "enabledad", true)}},
	{"link", []value{usual("up"), set("down", "disableContainerInterface", true)}},
	{"dns", []value{
		usual("none"),
		{"conf", func(c *configuration) { c.keys["dns"] = dns }},
		{"resolv", func(c *configuration) { c.resolv = true }},
		{"both", func(c *configuration) { c.keys["dns"], c.resolv = dns, true }},
	}},
	{"mac", []value{
		usual("none"),
		{"env", func(c *configuration) { c.args = append(c.args, "MAC="+givenMAC) }},
		{"args", func(c *configuration) { c.cniArgs("mac", givenMAC) }},
		{"runtime", func(c *configuration) { c.runtime("mac", givenMAC) }},
		{"all", func(c *configuration) {
			c.args = append(c.args, "MAC=02:61:00:00:00:01")
			c.cniArgs("mac", "02:61:00:00:00:02")
			c.runtime("mac", givenMAC)
		}},
	}},
	{"ips", []value{
		usual("free"),
		{"env", func(c *configuration) { c.args = append(c.args, "IP="+c.sets[0].nth(40).String()) }},
		{"args", func(c *configuration) { c.cniArgs("ips", c.fortieth("")) }},
		{"runtime", func(c *configuration) { c.runtime("ips", c.fortieth("/24")) }},
	}},
	{"bridge", []value{
		usual("new"),
		{"force", func(c *configuration) { c.keys["forceAddress"] = true }},
		{"there", func(c *configuration) { c.setup = "bridge" }},
		{"foreign+force", func(c *configuration) { c.setup, c.keys["forceAddress"] = "foreign", true }},
		{"gateway", func(c *configuration) { c.setup = "gateway" }},
		{"unnamed", func(c *configuration) { delete(c.keys, "bridge") }},
	}},
	{"boxes", []value{usual("1"), {"2", func(c *configuration) { c.boxes = 2 }}}},
}

var dns = object{"nameservers": []string{"192.0.2.53"}, "domain": "lan.test", "search": []string{"a.test", "b.test"}, "options": []string{"ndots:2"}}

// fortieth is one requested address for each set. host-local ignores the length.
func (c *configuration) fortieth(length string) []string {
	var list []string
	for _, s := range c.sets {
		list = append(list, s.nth(40).String()+length)
	}
	return list
}

// apart are choices that can't work together on either side, or not on the
// reference's: those are configurations of their own, see cases_test.go.
var apart = [][2]string{
	{"link=down", "ipam!=l2"}, // refused
	{"ipam=l2", "gw!=none"},
	{"ipam=l2", "routes!=none"},
	{"ipam=l2", "ips!=free"},
	{"ipam=l2", "dns=resolv"},
	{"ipam=l2", "dns=both"},
	{"ipam=l2", "version=0.2.0"},       // its results need an address
	{"ipam=l2", "bridge=gateway"},      // no gateway
	{"ipam=sets4", "version=0.2.0"},    // its results hold one address of each family
	{"ipam=sets6", "version=0.2.0"},    // likewise
	{"ipam=sets4", "gw!=none"},         // the reference fails
	{"gw=default", "routes=default"},   // the reference fails
	{"ipam=sets4", "bridge!=new"},      // the bridge can't have both gateways there
	{"boxes=2", "mac!=none"},           // two of the same
	{"boxes=2", "ips!=free"},           // likewise
	{"ipam=ranges4", "bridge=gateway"}, // one of two gateways
}

func allowed(a, b choice) bool {
	return !slices.ContainsFunc(apart, func(p [2]string) bool {
		return matches(p[0], a) && matches(p[1], b) || matches(p[0], b) && matches(p[1], a)
	})
}

// matches says whether the choice is the one, or not the one, that is written.
func matches(text string, c choice) bool {
	param, name := c.of()
	p, v, not := strings.Cut(text, "!=")
	if !not {
		return choice(text) == c
	}
	return p == param && v != name
}
