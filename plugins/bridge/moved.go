package bridge

import (
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// dropGateways removes gateways from the bridge after the node was given another podCIDR: the
// configuration does not hand out the gateway's subnet any more, and addrs, which go now, were
// the last addresses in it. The caller gives the leases back afterwards, so that a crash loses
// nothing.
func dropGateways(req *cni.Request, addrs []netip.Addr) error {
	moved := lease.Moved(req, addrs)
	if len(moved) == 0 {
		return nil
	}
	c, err := parse(req)
	if err != nil {
		return nil // DEL goes on with any configuration
	}
	return plan.With(nil, func(s *plan.Session) error {
		return link.DropGateways(s, c.outLink(), func(p netip.Prefix) (bool, error) {
			if slices.Contains(c.Gateways, p) || !slices.ContainsFunc(moved, p.Contains) {
				return false, nil
			}
			used, err := lease.InUse(req, p.Masked(), moved)
			return !used, err
		})
	})
}

func addrsOf(prefixes []netip.Prefix) []netip.Addr {
	var addrs []netip.Addr
	for _, p := range prefixes {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}
