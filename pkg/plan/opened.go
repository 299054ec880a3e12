package plan

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
)

// Opened are the links by which the host itself takes packets for 127.0.0.0/8. They are VRF devices
// and the links that the host gave route_localnet. The kernel routes what a VRF device sends to
// itself before it comes in (vrf_local_xmit), and so takes loopback addresses without that setting.
// A link that a container may be behind is never one of them: a plugin gave it the setting. After an
// error there are none.
func (s *Session) Opened() (names []string) {
	links, err := s.Host.Links()
	if err != nil {
		return nil
	}
	every := s.routesLocal("default") // new links have it, and nobody chose them
	for _, l := range links {
		chosen := !every && s.routesLocal(l.Name) && !leadsToContainers(l, links, s.Host.Addresses)
		// nf_tables and iptables take such names for patterns, or their words for others.
		if (chosen || l.Kind == "vrf") && !strings.ContainsAny(l.Name, `*+!"'\`) {
			names = append(names, l.Name)
		}
	}
	return names
}

// routesLocal says whether the setting of a link, or of "default", lets loopback addresses in.
func (s *Session) routesLocal(link string) bool {
	value, err := s.Sysctls.Read("net/ipv4/conf/" + link + "/route_localnet")
	return err == nil && value != "0"
}

// leadsToContainers says whether a container may be behind the link. So it is with a bridge, with
// a link on a bridge or on one of its ports, and with a veth that has addresses of no subnet, as
// ptp and Calico make it.
func leadsToContainers(l *netlink.Link, links []*netlink.Link, addresses func(index int) ([]netip.Prefix, error)) bool {
	if l.Kind == "bridge" {
		return true
	}
	if l.PeerNS < 0 && slices.ContainsFunc(links, func(below *netlink.Link) bool {
		return below.Index == l.Peer && (below.Kind == "bridge" || below.Master != 0)
	}) {
		return true
	}
	if l.Kind != "veth" {
		return false
	}
	list, err := addresses(l.Index)
	return err != nil || !slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Addr().Is4() && !p.IsSingleIP() })
}
