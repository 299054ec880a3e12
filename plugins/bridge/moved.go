package bridge

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// dropGateways takes gateways off the bridge whose subnets the configuration does not
// hand out any more (another podCIDR) and that the addresses, which go now, were the
// last to use. It comes before the leases go, so that a crash loses nothing.
func dropGateways(req *cni.Request, addrs []netip.Addr) (err error) {
	moved := lease.Moved(req, addrs)
	if len(moved) == 0 {
		return nil
	}
	c, err := parse(req)
	if err != nil {
		return nil // DEL goes on with any configuration
	}
	s, err := plan.Open(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return link.DropGateways(s, inputs{conf: c}.outLink(), func(p netip.Prefix) (bool, error) {
		if slices.Contains(c.Gateways, p) || !slices.ContainsFunc(moved, p.Contains) {
			return false, nil
		}
		used, err := lease.InUse(req, p.Masked(), moved)
		return !used, err
	})
}

func addrsOf(prefixes []netip.Prefix) []netip.Addr {
	var addrs []netip.Addr
	for _, p := range prefixes {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}
