package lease

import (
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// Moved returns those of the addresses that the configuration does not hand out any
// more, as after a node was given another podCIDR. It returns none where the configuration
// can't be read.
func Moved(req *cni.Request, addrs []netip.Addr) []netip.Addr {
	if len(addrs) == 0 {
		return nil
	}
	c, err := Parse(req)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(addrs), c.inSubnet)
}

// InUse says whether any network of the same dataDir has leased an address of the subnet.
// The addresses in but, of this network, do not count.
func InUse(req *cni.Request, subnet netip.Prefix, but []netip.Addr) (bool, error) {
	networks, err := Networks(dataDir(req))
	if err != nil {
		return false, err
	}
	for _, network := range networks {
		used := false
		err := existing(dataDir(req), network, func(s *store) error {
			names, err := s.names()
			used = slices.ContainsFunc(names, func(a netip.Addr) bool {
				return subnet.Contains(a) && (network != req.Network || !slices.Contains(but, a))
			})
			return err
		})
		if used || err != nil {
			return used, err
		}
	}
	return false, nil
}
