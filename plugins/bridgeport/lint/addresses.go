package lint

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/lease"
)

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

func subnets(ipam *value) (list []*value) {
	for _, r := range ranges(ipam) {
		if s := r.kid("subnet"); s != nil {
			list = append(list, s)
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

// addresses examines subnets, their ends and routes. gateway says whether the bridge has
// the ranges' gateways.
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

// few is less than anybody means to have.
const few = 14

// room examines what ranges have besides their gateways.
func (l *linter) room(ipam *value, conf *lease.Conf) {
	at := ipam.at
	if list := subnets(ipam); len(list) > 0 {
		at = list[0].at
	}
	for _, set := range conf.Sets {
		switch room := set.Room(); {
		case room < 1:
			l.fail(at, "%s has no address for a container: the gateway has the only one", set)
		case room < few:
			l.warn(at, "%s has room for %.0f containers", set, room)
		}
	}
}
