package lint

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/containernetworking/cni/pkg/version"
)

// doubts are choices that are allowed and seldom meant.
func (l *linter) doubts(root *value, plugins []*value) {
	l.version(root)
	if root.kid("name") == nil {
		l.fail(root.at, "name: missing: every network needs one")
	}
	types := make([]string, len(plugins))
	for i, p := range plugins {
		types[i] = p.kid("type").text()
	}
	first, port := slices.Index(types, "bridge"), slices.Index(types, "portmap")
	if port >= 0 && first > port {
		l.fail(plugins[port].kid("type").at, "portmap stands before bridge: it needs the address that bridge gives")
	}
	for i, p := range plugins {
		switch types[i] {
		case "bridge":
			l.bridge(p, port >= 0 || publishes(p))
		case "portmap":
			if !publishes(p) {
				l.warn(p.kid("type").at, "portmap without \"capabilities\": {\"portMappings\": true} never gets a port to publish")
			}
		}
	}
}

func publishes(p *value) bool { return p.kid("capabilities").kid("portMappings").truth() }

func (l *linter) version(root *value) {
	v := root.kid("cniVersion")
	switch {
	case v == nil:
		l.warn(root.at, "cniVersion: missing, which means 0.1.0: CHECK, GC and STATUS are never called; set \"1.1.0\"")
	case !slices.Contains(version.All.SupportedVersions(), v.text()):
		l.fail(v.at, "cniVersion: %q is none of %s", v.text(), strings.Join(version.All.SupportedVersions(), ", "))
	default:
		if ok, _ := version.GreaterThanOrEqualTo(newest(root), "1.1.0"); !ok {
			l.warn(v.at, "cniVersion: %s has no GC and STATUS: with \"1.1.0\" the runtime cleans up, and knows when the network is not ready", v.text())
		}
	}
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
	if gateway && !p.kid("ipMasq").truth() && ipam != nil && !routable(subnets(ipam)) {
		l.warn(p.at, "ipMasq: not set: unless your routers know the way back, containers reach nothing beyond this host")
	}
	if p.kid("isGateway").truth() && !p.kid("isDefaultGateway").truth() && ipam.kid("routes") == nil && !p.kid("noDefaultRoute").truth() && ipam != nil {
		l.warn(p.kid("isGateway").key, "isGateway without isDefaultGateway or ipam.routes: containers get no default route")
	}
	if ports && gateway && !p.kid("hairpinMode").truth() {
		l.warn(p.at, "hairpinMode: not set: a container can't reach a port that it publishes itself")
	}
	if mtu := p.kid("mtu"); mtu != nil {
		if f, ok := mtu.scalar.(float64); ok && f > 1500 {
			l.warn(mtu.at, "mtu: %.0f is more than most links carry: \"auto\" takes the one of the way out", f)
		}
	}
	l.subnets(ipam)
}

// subnets are the values that name one, in both forms.
func subnets(ipam *value) (list []*value) {
	if ipam == nil {
		return nil
	}
	if s := ipam.kid("subnet"); s != nil {
		list = append(list, s)
	}
	if ranges := ipam.kid("ranges"); ranges != nil {
		for _, set := range ranges.kids {
			for _, r := range set.kids {
				if s := r.kid("subnet"); s != nil {
					list = append(list, s)
				}
			}
		}
	}
	return list
}

// routable says whether a subnet may be known to routers: not IPv4, or public.
func routable(list []*value) bool {
	for _, s := range list {
		if p, err := netip.ParsePrefix(s.text()); err == nil && p.Addr().Is4() && p.Addr().IsPrivate() {
			return false
		}
	}
	return true
}

func (l *linter) subnets(ipam *value) {
	for _, s := range subnets(ipam) {
		p, err := netip.ParsePrefix(s.text())
		if err != nil {
			continue // an error already
		}
		a := p.Addr()
		switch {
		case a.Is4() && !a.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(a):
			l.warn(s.at, "%s is a public network: containers will not reach the hosts that really have these addresses", p)
		case p.Overlaps(netip.MustParsePrefix("172.17.0.0/16")):
			l.warn(s.at, "%s overlaps with 172.17.0.0/16, which Docker takes for docker0", p)
		case a.Is6() && !a.IsPrivate() && !a.IsGlobalUnicast():
			l.warn(s.at, "%s is no network for hosts", p)
		case a.Is4() && p.Bits() >= 28:
			l.warn(s.at, "%s has room for %d containers", p, 1<<(32-p.Bits())-3)
		}
	}
}
