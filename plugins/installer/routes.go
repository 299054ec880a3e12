package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// protocol marks our routes (rtm_protocol): no others are removed. 98 has no meaning in linux/rtnetlink.h.
const protocol = 98

type hop struct {
	dst netip.Prefix // a podCIDR
	via netip.Addr   // its node's
}

// hops are the routes to each podCIDR, by its node's first address of the same family.
func hops(nodes []node) (list []hop, err error) {
	for _, n := range nodes {
		for _, text := range n.Spec.PodCIDRs {
			cidr, perr := netip.ParsePrefix(text)
			via := address(n, cidr.Addr().Is4())
			switch {
			case perr != nil:
				err = errors.Join(err, fmt.Errorf("node %s: podCIDRs: %w", n.Metadata.Name, perr))
			case !via.IsValid():
				err = errors.Join(err, fmt.Errorf("node %s: no InternalIP of the family of %s", n.Metadata.Name, cidr))
			default:
				list = append(list, hop{cidr.Masked(), via})
			}
		}
	}
	return list, err
}

// address is the node's first InternalIP of the family, invalid without one.
func address(n node, is4 bool) netip.Addr {
	for _, found := range n.Status.Addresses {
		a, err := netip.ParseAddr(found.Address)
		if found.Type == "InternalIP" && err == nil && a.Unmap().Is4() == is4 {
			return a.Unmap()
		}
	}
	return netip.Addr{}
}

// keepRoutes makes the routes that are missing or have another gateway, and removes ours to
// nodes that are gone. It goes on after an error of one node.
func keepRoutes(others []node) error {
	want, err := hops(others)
	have, lerr := ours()
	if lerr != nil {
		return errors.Join(err, lerr)
	}
	for _, h := range want {
		if have[h.dst] != h.via {
			dst := cni.IPNet(h.dst)
			if rerr := netlink.RouteReplace(&netlink.Route{Dst: &dst, Gw: h.via.AsSlice(), Protocol: protocol}); rerr != nil {
				err = errors.Join(err, fmt.Errorf("route %s via %s: replace: %w", h.dst, h.via, rerr))
			}
		}
		delete(have, h.dst)
	}
	for prefix := range have {
		dst := cni.IPNet(prefix)
		if derr := netlink.RouteDel(&netlink.Route{Dst: &dst, Protocol: protocol}); derr != nil && !errors.Is(derr, unix.ESRCH) {
			err = errors.Join(err, fmt.Errorf("route %s: delete: %w", prefix, derr))
		}
	}
	return err
}

// ours are the routes with our mark: destination to gateway.
func ours() (map[netip.Prefix]netip.Addr, error) {
	list, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Protocol: protocol}, netlink.RT_FILTER_PROTOCOL)
	})
	if err != nil {
		return nil, fmt.Errorf("routes: list: %w", err)
	}
	have := make(map[netip.Prefix]netip.Addr)
	for _, r := range list {
		if r.Dst != nil {
			have[cni.Prefix(*r.Dst)] = cni.Addr(r.Gw)
		}
	}
	return have, nil
}
