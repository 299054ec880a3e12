package publish

import (
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/owned"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

type inputs struct {
	conf  *Conf
	owner plan.Owner
	addrs []netip.Prefix // the container's
	ports []hostport.Mapping
	// The host's links towards the container's first address of each family.
	link4, link6 link.Towards
	byHand       bool // the ports are beside those of the attachment's ADD
}

// plan is everything that exists for the published ports after ADD. It always has the objects
// of both backends, so that DEL also removes those of the other one.
func (in inputs) plan() plan.Plan {
	own := owned.By(in.owner, nil)
	byNFT, byIPTables := &own.Ports, &own.PortsIPTables
	byNFT.MasqAll, byNFT.MarkBits = in.conf.MasqAll && in.conf.SNAT, in.conf.MarkBits
	byNFT.Conditions4, byNFT.Conditions6 = in.conf.Conditions4, in.conf.Conditions6
	byIPTables.Rules = in.conf.Rules
	byIPTables.Rules.MasqAll = byNFT.MasqAll
	var subnets []netip.Prefix
	if in.conf.SNAT {
		for _, a := range in.addrs {
			subnets = append(subnets, a.Masked())
		}
	}
	var shared, last []plan.Object
	if in.conf.IPTables {
		byIPTables.Ports, byIPTables.Rules.Subnets = in.ports, subnets
		last = in.localnet()
	} else {
		byNFT.Ports, byNFT.Subnets = in.ports, subnets
		// The guard of Rules comes first: with localnet the host also routes packets for
		// 127.0.0.0/8 that come in by the link.
		shared = append([]plan.Object{firewall.Rules{}}, in.localnet()...)
		if slices.ContainsFunc(in.ports, hostport.Mapping.Any) {
			shared = append(shared, firewall.ServiceAddresses{})
		}
	}
	published := own.Published()
	if in.byHand {
		byNFT.ByHand = true
		published = []plan.Object{own.Ports}
	}
	before := []plan.Step{foreign.NoConflicts(in.owner, in.ports, in.conf.IPTables)}
	if in.conf.HostPortCheck != off {
		before = append(before, firewall.NoListeners(in.ports, in.conf.HostPortCheck == strict))
	}
	return plan.Plan{
		Before: before, Shared: shared,
		Own: slices.Concat(published, []plan.Object{firewall.ForgetOthers(in.ports)}, last),
	}
}

// localnet lets packets to and from loopback addresses use the links, if a port has such an
// address.
func (in inputs) localnet() []plan.Object {
	var list []plan.Object
	if in.conf.SNAT && in.link4.Link != "" && in.loopback(true) {
		list = append(list, firewall.LocalNet{Link: in.link4.Link})
	}
	if in.conf.SNAT && in.link6.Link != "" && in.loopback(false) && !in.conf.IPTables {
		list = append(list, link.Loopback6{Link: in.link6.Link, Bridge: in.link6.Bridge})
	}
	return list
}

// loopback says whether clients reach a port by an address in 127.0.0.0/8, or by ::1.
func (in inputs) loopback(is4 bool) bool {
	return slices.ContainsFunc(in.ports, func(p hostport.Mapping) bool {
		return p.Container.Addr().Is4() == is4 && (p.Any() || p.HostIP.IsLoopback())
	})
}
