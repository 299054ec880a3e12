package lint

import (
	"slices"
	"strings"

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
	if gateway && ipam.kid("type").text() == "dhcp" {
		l.warn(ipam.kid("type").at, "dhcp with a gateway on the bridge: the bridge takes the address of the router that the DHCP server names, and cuts the LAN off from it: leave isGateway and isDefaultGateway out")
	}
	l.addresses(ipam, gateway)
}
