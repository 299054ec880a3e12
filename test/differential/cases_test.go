package differential

import (
	"os"
	"path/filepath"
	"slices"
)

// all are the generated configurations and those that stand for themselves.
func all(dir string) []*configuration {
	return slices.Concat(generated(), sound(), badKeys(), badRanges(), badCalls(dir), strangers(), collections(), vlans())
}

// with is a configuration over IPv4, changed.
func with(name string, change func(c *configuration)) *configuration {
	c := blank(name)
	c.lease(oneRange(lan4, nil))
	c.keys["isGateway"] = true
	change(c)
	return c
}

// key is with, for one key of the bridge.
func key(name, key string, v any) *configuration {
	return with(name, func(c *configuration) { c.keys[key] = v })
}

// ipam is with, for one key of host-local.
func ipam(name, key string, v any) *configuration {
	return with(name, func(c *configuration) { c.ipam[key] = v })
}

// refused are configurations that neither side may attach all containers by.
func refused(list ...*configuration) []*configuration {
	for _, c := range list {
		c.refused, c.name = true, "refused: "+c.name
	}
	return list
}

// sound are configurations that work with us, and not all of them on the other side.
func sound() []*configuration {
	return []*configuration{
		with("several IPv4 gateways", func(c *configuration) { c.lease(oneRange(lan4, nil), oneRange(other4, nil)) }),
		with("several IPv4 gateways by default", func(c *configuration) {
			c.lease(oneRange(lan4, nil), oneRange(other4, nil))
			c.keys["isDefaultGateway"] = true
		}),
		with("isDefaultGateway next to a default route", func(c *configuration) {
			c.keys["isDefaultGateway"] = true
			c.route("0.0.0.0/0", "::/0", nil)
		}),
		with("isDefaultGateway next to an IPv6 default route", func(c *configuration) {
			c.lease(oneRange(lan6, nil))
			c.keys["isDefaultGateway"] = true
			c.route("0.0.0.0/0", "::/0", nil)
		}),
		with("route on the link", func(c *configuration) { c.route("192.0.2.0/24", "", object{"scope": 253}) }),
		with("route with mtu and advmss", func(c *configuration) { c.route("192.0.2.0/24", "", object{"mtu": 1300, "advmss": 1200}) }),
		with("MAC without IgnoreUnknown", func(c *configuration) { c.rawArgs = "MAC=" + givenMAC }),
		with("pod without IgnoreUnknown", func(c *configuration) { c.rawArgs = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web" }),
		with("smallest subnet", func(c *configuration) { c.lease(oneRange("10.61.0.0/30", nil)) }),
		with("keys in other letters", func(c *configuration) { c.keys["ISGATEWAY"], c.keys["Mtu"] = true, 1400 }),
		key("unknown keys", "unheardOf", object{"a": 1}),
		key("prevResult of nobody", "prevResult", object{"cniVersion": "1.1.0", "ips": []object{{"address": "192.0.2.9/24"}}}),
		with("no version", func(c *configuration) { delete(c.keys, "cniVersion") }),
		with("version 0.1.0", func(c *configuration) { c.keys["cniVersion"] = "0.1.0" }),
		with("old gateway beside ranges", func(c *configuration) { c.ipam["subnet"], c.ipam["gateway"] = other4, "10.62.0.9" }).without("isGateway"),
		with("gateway of one set is free in the other", func(c *configuration) {
			c.lease(oneRange("10.61.0.0/25", object{"gateway": "10.61.0.9"}), oneRange("10.61.0.128/25", nil))
		}).without("isGateway"),
		with("link-local IPv6 gateway", func(c *configuration) { c.lease(oneRange(lan6, object{"gateway": "fe80::1"})) }),
		// The range begins where an address fits into four bytes.
		with("lowest IPv6 addresses", func(c *configuration) { c.lease(oneRange("::a3d:0/120", object{"rangeStart": "::a3d:7"})) }),
	}
}

func (c *configuration) without(key string) *configuration {
	delete(c.keys, key)
	return c
}

// badKeys are wrong values of the bridge's keys.
func badKeys() []*configuration {
	return refused(
		with("hairpin and promisc", func(c *configuration) { c.keys["hairpinMode"], c.keys["promiscMode"] = true, true }),
		key("link down with ipam", "disableContainerInterface", true),
		key("vlan too high", "vlan", 5000),
		key("vlan below zero", "vlan", -1),
		key("trunk backwards", "vlanTrunk", []object{{"minID": 20, "maxID": 10}}),
		key("trunk without end", "vlanTrunk", []object{{"minID": 20}}),
		key("masquerade by pf", "ipMasqBackend", "pf").and("ipMasq", true),
		key("MAC of letters", "args", object{"cni": object{"mac": "zz"}}),
		key("MAC of a group", "args", object{"cni": object{"mac": "01:00:5e:00:00:01"}}),
		key("bridge without name", "bridge", ""),
		key("bridge with a long name", "bridge", "a-name-of-seventeen"),
		key("mtu beyond the kernel's", "mtu", 700000),
		key("mtu as text", "mtu", "1400"),
		key("flag as text", "isGateway", "yes"),
		key("isolation as text", "portIsolation", "true"),
		key("bridge as number", "bridge", 7),
		key("name with a slash", "name", "a/b"),
		key("no name", "name", ""),
		key("version of the future", "cniVersion", "2.0.0"),
		with("layer 2 in version 0.2.0", func(c *configuration) { c.ipam, c.sets, c.keys["cniVersion"] = nil, nil, "0.2.0" }),
		with("a device has the bridge's name", func(c *configuration) { c.setup = "device" }),
		with("another network's IPv4 gateway", func(c *configuration) { c.setup = "foreign" }),
		with("an overlapping IPv6 gateway", func(c *configuration) { c.lease(oneRange(lan6, nil)); c.setup = "foreign" }),
	)
}

func (c *configuration) and(key string, v any) *configuration {
	c.keys[key] = v
	return c
}

// badRanges are wrong values of host-local's keys.
func badRanges() []*configuration {
	ranges := func(name string, sets ...rangeSet) *configuration {
		return with(name, func(c *configuration) { c.lease(sets...) })
	}
	return refused(
		ranges("families mixed", oneRange(lan4, nil).and(lan6, nil)),
		ranges("ranges overlap", oneRange(lan4, nil).and("10.61.0.0/25", nil)),
		ranges("sets overlap", oneRange(lan4, nil), oneRange("10.61.0.0/16", nil)),
		ranges("host bits", oneRange("10.61.0.5/24", nil)),
		ranges("too small", oneRange("10.61.0.0/31", nil)),
		ranges("start outside", oneRange(lan4, object{"rangeStart": "10.62.0.2"})),
		ranges("end outside", oneRange(lan4, object{"rangeEnd": "10.62.0.2"})),
		ranges("gateway outside", oneRange(lan4, object{"gateway": "10.62.0.1"})),
		ranges("gateway outside, IPv6", oneRange(lan6, object{"gateway": "fd62::1"})),
		ranges("gateway of the other family", oneRange(lan4, object{"gateway": "fd61::1"})),
		with("gateway outside, old form", func(c *configuration) { c.ipam = object{"type": "host-local", "subnet": lan4, "gateway": "10.62.0.1"} }),
		ranges("start after the last address", oneRange(lan4, object{"rangeStart": "10.61.0.255"})),
		ranges("end before the first address", oneRange(lan4, object{"rangeEnd": "10.61.0.0"})),
		ranges("end before start", oneRange(lan4, object{"rangeStart": "10.61.0.9", "rangeEnd": "10.61.0.8"})),
		ranges("address of letters", oneRange(lan4, object{"rangeStart": "ten"})),
		ranges("no range"),
		ranges("empty set", rangeSet{subnet: oneRange(lan4, nil).subnet, ranges: []object{}}),
		ipam("route to letters", "routes", []object{{"dst": "nowhere"}}),
		ipam("ipam of nobody", "type", "nope"),
		ipam("resolvConf missing", "resolvConf", "/nowhere/resolv.conf"),
		with("two addresses in version 0.2.0", func(c *configuration) {
			c.lease(oneRange(lan4, nil), oneRange(other4, nil))
			c.keys["cniVersion"] = "0.2.0"
		}).without("isGateway"),
		with("gateway requested", func(c *configuration) { c.runtime("ips", []string{"10.61.0.1"}) }),
		with("address of another subnet requested", func(c *configuration) { c.runtime("ips", []string{"10.62.0.5"}) }),
		with("address outside the range requested", func(c *configuration) {
			c.lease(oneRange(lan4, object{"rangeEnd": "10.61.0.9"}))
			c.runtime("ips", []string{"10.61.0.40"})
		}),
		with("letters requested", func(c *configuration) { c.runtime("ips", []string{"ten"}) }),
		with("one address requested twice", func(c *configuration) { c.boxes = 2; c.runtime("ips", []string{"10.61.0.40"}) }),
		with("two containers, one address", func(c *configuration) {
			c.boxes = 2
			c.lease(oneRange(lan4, object{"rangeStart": "10.61.0.5", "rangeEnd": "10.61.0.5"}))
		}),
	)
}

// strangers are bridges of somebody else whose MAC address the kernel changes with their ports.
func strangers() (list []*configuration) {
	for _, setup := range []string{"floating", "zeroed", "floating gateway", "zeroed gateway"} {
		list = append(list,
			with("bridge="+setup, func(c *configuration) { c.setup, c.boxes = setup, 2 }),
			with("bridge="+setup+" no gateway", func(c *configuration) { c.setup = setup }).without("isGateway"))
	}
	return list
}

// badCalls are calls with wrong arguments.
func badCalls(dir string) []*configuration {
	file := filepath.Join(dir, "plainfile")
	list := refused(
		with("arguments of nobody", func(c *configuration) { c.rawArgs = "FOO=bar" }),
		with("arguments without value", func(c *configuration) { c.rawArgs = "IgnoreUnknown=1;MAC" }),
		with("namespace gone", func(c *configuration) { c.netns = filepath.Join(dir, "nowhere") }),
		with("namespace is a file", func(c *configuration) { c.netns = file }),
	)
	// What a mount point looks like after a reboot.
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		panic(err) // a directory of the test's own
	}
	return list
}

// vlans need a kernel that filters them.
func vlans() []*configuration {
	list := []*configuration{
		key("vlan", "vlan", 100).without("isGateway"),
		key("vlan with gateway", "vlan", 100),
		key("vlan and trunk", "vlan", 100).and("vlanTrunk", []object{{"minID": 200, "maxID": 210}, {"id": 300}}),
		key("trunk alone", "vlanTrunk", []object{{"id": 42}}).without("isGateway"),
		key("vlan beside the default one", "vlan", 100).and("preserveDefaultVlan", true).without("isGateway"),
	}
	for _, c := range list {
		c.needs = vlanFiltering
	}
	return list
}
