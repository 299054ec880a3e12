package hostlocal

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/containernetworking/cni/pkg/types"
)

// Moved returns those of the addresses that the configuration does not hand out any
// more, as after a node was given another podCIDR. None where it can't be read.
func Moved(req *cni.Request, addrs []netip.Addr) []netip.Addr {
	if len(addrs) == 0 {
		return nil
	}
	c, err := Parse(req)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return inSets(c.Sets, a) })
}

// Leases lists the addresses that are leased in the network, but for those of the
// valid attachments.
func Leases(req *cni.Request, valid []types.GCAttachment) ([]netip.Addr, error) {
	return leases(dataDirOf(req), req.Network, func(key Key) bool {
		return slices.Contains(valid, types.GCAttachment{ContainerID: key.ContainerID, IfName: key.IfName})
	})
}

func leases(dataDir, network string, without func(Key) bool) ([]netip.Addr, error) {
	s, err := open(dataDir, network, false)
	if errors.Is(err, errNoStore) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var all []netip.Addr
	err = s.each(func(a netip.Addr, key Key) error {
		if !without(key) {
			all = append(all, a)
		}
		return nil
	})
	return all, err
}

// InUse says whether any network of the same dataDir has an address of the subnet
// leased, but for the given ones of this network.
func InUse(req *cni.Request, subnet netip.Prefix, but []netip.Addr) (bool, error) {
	dataDir := dataDirOf(req)
	networks, err := os.ReadDir(dataDir)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, ioError("list networks", err)
	}
	for _, n := range networks {
		if !n.IsDir() {
			continue
		}
		all, err := leases(dataDir, filepath.Base(n.Name()), func(Key) bool { return false })
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(all, func(a netip.Addr) bool {
			return subnet.Contains(a) && (n.Name() != req.Network || !slices.Contains(but, a))
		}) {
			return true, nil
		}
	}
	return false, nil
}
