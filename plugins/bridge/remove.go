package bridge

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/owned"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
)

// delKernel removes rules, and the links by the name of the host's end. The other end may be
// anywhere. delKernel looks into the container only for a link that another plugin made.
func delKernel(req *cni.Request, addrs []netip.Prefix) error {
	var ns *netns.NS
	if len(addrs) > 0 { // without addresses nothing in there is known to be the attachment's
		// ns is nil where the namespace is gone, its path a plain file (reboot), or the host's.
		if ns, _ = plan.OpenNetns(req); ns != nil {
			defer ns.Close()
		}
	}
	o := plan.OwnerOf(req)
	rest := owned.By(o, addrs)
	bounds := plan.Plan{Bounds: rest.Bounds()}
	// The order is ports, link, rules. Ports go first, because a link that exists is their
	// sign that connections may be left. Rules go last, because the container must never be
	// without those of its bounds. After portmap this order is faster, too: portmap's deletion
	// blocks further rules for an RCU grace period, and the link takes one anyway.
	// Ports are looked for once more after the link: until then `bridgeport repair` may have put them back.
	return plan.With(ns, func(s *plan.Session) error {
		first := publish.Withdraw(req, s, addrs)
		was, err := s.Host.RemoveLink(o.LinkName())
		again := []plan.Deleter{rest.Ports}
		if was { // asking for chains of iptables costs a repeated DEL more
			again = append(again, rest.PortsIPTables)
		}
		return errors.Join(first, err,
			plan.Delete(s, foreign.ReferenceLink{IfName: req.IfName, Tag: o.Tag(), Addrs: addrs}, foreign.ReferenceMasquerade{Owner: o}),
			plan.Delete(s, again...), bounds.Del(s))
	})
}

// dropGateways removes gateways from the bridge after the node was given another podCIDR: the
// configuration does not hand out the gateway's subnet any more, and addrs, which go now, were its
// last. The caller gives the leases back afterwards, so that a crash loses nothing.
func dropGateways(req *cni.Request, addrs []netip.Addr) error {
	moved := lease.Moved(req, addrs)
	if len(moved) == 0 {
		return nil
	}
	c, err := Read(req)
	if err != nil {
		return nil // DEL goes on with any configuration
	}
	return plan.With(nil, func(s *plan.Session) error {
		c.Bridge = link.RealName(s, c.Bridge)
		return link.DropGateways(s, c.outLink(), func(p netip.Prefix) bool {
			return !slices.Contains(c.Gateways, p) && slices.ContainsFunc(moved, p.Contains)
		}, func(subnet netip.Prefix) (bool, error) { return lease.InUse(req, subnet, moved) })
	})
}

func addrsOf(prefixes []netip.Prefix) []netip.Addr {
	var addrs []netip.Addr
	for _, p := range prefixes {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}
