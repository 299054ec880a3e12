package lint

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/containernetworking/cni/pkg/version"
)

// doubts are choices that are allowed and seldom meant.
func (l *linter) doubts(root *value, plugins []*value) {
	l.version(root, plugins)
	if root.kid("name") == nil {
		l.fail(root.at, "name: missing: every network needs one")
	}
	types := make([]string, len(plugins))
	for i, p := range plugins {
		types[i] = p.kid("type").text()
	}
	first, port := slices.Index(types, "bridge"), slices.Index(types, "portmap")
	if port >= 0 && first > port {
		l.of(plugins[port]).fail(plugins[port].kid("type").at, "portmap stands before bridge: it needs the address that bridge gives")
	}
	for i, p := range plugins {
		switch types[i] {
		case "bridge":
			l.of(p).bridge(p, port >= 0 || publishes(p))
		case "portmap":
			if !publishes(p) {
				l.of(p).warn(p.kid("type").at, "portmap without \"capabilities\": {\"portMappings\": true} never gets a port to publish")
			}
		}
	}
}

func publishes(p *value) bool { return p.kid("capabilities").kid("portMappings").truth() }

func (l *linter) version(root *value, plugins []*value) {
	v := root.kid("cniVersion")
	switch {
	case v == nil:
		l.warn(root.at, "cniVersion: missing, which means 0.1.0: CHECK, GC and STATUS are never called; set \"1.1.0\"")
	case !slices.Contains(version.All.SupportedVersions(), v.text()):
		l.fail(v.at, "cniVersion: %q is none of %s", v.text(), strings.Join(version.All.SupportedVersions(), ", "))
	default:
		if ok, _ := version.GreaterThanOrEqualTo(newest(root), "1.1.0"); !ok && !older(plugins) {
			l.warn(v.at, "cniVersion: %s has no GC and STATUS: with \"1.1.0\" the runtime cleans up, and knows when the network is not ready", v.text())
		}
	}
}

// older says whether the list is for who calls neither GC nor STATUS: podman, which wants its
// bridges named so, or another plugin that calls ours.
func older(plugins []*value) bool {
	i := slices.IndexFunc(plugins, func(p *value) bool { return p.kid("type").text() == "bridge" })
	return i < 0 || strings.HasPrefix(plugins[i].kid("bridge").text(), "cni-podman")
}

// newest is the version that a runtime takes.
func newest(root *value) string {
	var others []string
	if list := root.kid("cniVersions"); list != nil {
		for _, v := range list.kids {
			others = append(others, v.text())
		}
	}
	return node.Newest(root.kid("cniVersion").text(), others)
}

func (l *linter) bridge(p *value, ports bool) {
	gateway := p.kid("isGateway").truth() || p.kid("isDefaultGateway").truth()
	ipam := p.kid("ipam")
	if ipam == nil && p.kid("gateways") == nil && (gateway || p.kid("ipMasq").truth()) {
		l.warn(p.at, "ipam: missing, so containers get no address: gateway and masquerade have no effect")
	}
	if p.kid("ipMasq").truth() && !gateway && ipam != nil {
		l.warn(p.kid("ipMasq").key, "ipMasq without isGateway or isDefaultGateway: the bridge has no address, so nothing leaves through this host")
	}
	if gateway && !p.kid("ipMasq").truth() && ipam != nil && !routable(ipam) {
		l.warn(p.at, "ipMasq: not set: unless your routers know the way back, containers reach nothing beyond this host")
	}
	if p.kid("isGateway").truth() && !p.kid("isDefaultGateway").truth() && ipam.kid("routes") == nil && !p.kid("noDefaultRoute").truth() && ipam != nil {
		l.warn(p.kid("isGateway").key, "isGateway without isDefaultGateway or ipam.routes: containers get no default route")
	}
	if ports && gateway && !p.kid("hairpinMode").truth() {
		l.warn(p.at, "hairpinMode: not set: a container can't reach a port that it publishes itself")
	}
	mtu := p.find("mtu")
	if f, ok := mtu.scalar.(float64); ok && f > 1500 {
		l.warn(mtu.at, "mtu: %.0f is more than most links carry: \"auto\" takes the one of the way out", f)
	}
	if gateway && ipam.kid("type").text() == "dhcp" {
		l.warn(ipam.kid("type").at, "dhcp with a gateway on the bridge: the bridge takes the address of the router that the DHCP server names, and cuts the LAN off from it: leave isGateway and isDefaultGateway out")
	}
	l.addresses(ipam, gateway)
}

// ranges are the objects that have a subnet, in both forms of host-local.
func ranges(ipam *value) (list []*value) {
	if ipam.kid("subnet") != nil {
		list = append(list, ipam)
	}
	if sets := ipam.kid("ranges"); sets != nil {
		for _, set := range sets.kids {
			list = append(list, set.kids...)
		}
	}
	return list
}

// routable says whether each subnet may be known to routers: not IPv4, or public.
func routable(ipam *value) bool {
	return !slices.ContainsFunc(ranges(ipam), func(r *value) bool {
		p, err := netip.ParsePrefix(r.kid("subnet").text())
		return err == nil && p.Addr().Is4() && p.Addr().IsPrivate()
	})
}

// addresses examines subnets, their ends and routes. gateway: the bridge has the ranges' gateways.
func (l *linter) addresses(ipam *value, gateway bool) {
	for _, r := range ranges(ipam) {
		s := r.kid("subnet")
		p, err := netip.ParsePrefix(s.text())
		if err != nil {
			continue // an error already
		}
		l.subnet(s, p)
		for _, name := range []string{"rangeStart", "rangeEnd", "gateway"} {
			v := r.kid(name)
			a, err := netip.ParseAddr(v.text())
			if err == nil && (gateway || name != "gateway") {
				l.edge(v, name, a.Unmap(), p.Masked())
			}
		}
	}
	seen := make(map[string]bool)
	if routes := ipam.kid("routes"); routes != nil {
		for _, r := range routes.kids {
			dst := r.kid("dst").text() + " " + string(l.slice(r))
			if seen[dst] {
				l.warn(r.at, "routes: %s stands here twice", r.kid("dst").text())
			}
			seen[dst] = true
		}
	}
}

// edge examines an address that is to be a host's.
func (l *linter) edge(v *value, name string, a netip.Addr, p netip.Prefix) {
	switch {
	case a == p.Addr() && a.Is4():
		l.warn(v.at, "%s: %s is the network's own address: no host can have it", name, a)
	case a == p.Addr():
		l.warn(v.at, "%s: %s is the address of all routers of the subnet: no host can have it (RFC 4291, 2.6.1)", name, a)
	case a.Is4() && p.Contains(a) && !p.Contains(a.Next()):
		l.warn(v.at, "%s: %s is the subnet's broadcast address: no host can have it", name, a)
	}
}

func (l *linter) subnet(s *value, p netip.Prefix) {
	a := p.Addr()
	switch {
	case a.Is4() && !a.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(a):
		l.warn(s.at, "%s is a public network: containers will not reach the hosts that really have these addresses", p)
	case p.Overlaps(netip.MustParsePrefix("172.17.0.0/16")):
		l.warn(s.at, "%s overlaps with 172.17.0.0/16, which Docker takes for docker0", p)
	case a.Is6() && !a.IsPrivate() && !a.IsGlobalUnicast():
		l.warn(s.at, "%s is no network for hosts", p)
	}
}

// room examines what ranges have besides their gateways.
func (l *linter) room(ipam *value, conf *lease.Conf) {
	at := ipam.at
	for _, r := range slices.Backward(ranges(ipam)) { // the first subnet
		if s := r.kid("subnet"); s != nil {
			at = s.at
		}
	}
	for _, set := range conf.Sets {
		switch room := set.Room(); {
		case room < 1:
			l.fail(at, "%s has no address for a container: the gateway has the only one", set)
		case room < 14: // fewer than anybody means to have
			l.warn(at, "%s has room for %.0f containers", set, room)
		}
	}
}
