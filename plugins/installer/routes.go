package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// protocol marks our routes (rtm_protocol), so that those of nodes that are gone can be
// told from everybody else's. 98 has no meaning in linux/rtnetlink.h.
const protocol = 98

// hop is a route to a podCIDR by a node's address.
type hop struct{ dst, via string }

// hops are the routes to the nodes: to each podCIDR by the node's first address of the same
// family.
func hops(nodes []node) (list []hop, err error) {
	for _, n := range nodes {
		for _, text := range n.podCIDRs {
			cidr, perr := netip.ParsePrefix(text)
			if perr != nil {
				err = errors.Join(err, fmt.Errorf("node %s: podCIDRs: %w", n.name, perr))
				continue
			}
			via, ok := address(n, cidr.Addr().Is4())
			if !ok {
				err = errors.Join(err, fmt.Errorf("node %s: no InternalIP of the family of %s", n.name, cidr))
				continue
			}
			list = append(list, hop{cidr.Masked().String(), via})
		}
	}
	return list, err
}

func address(n node, is4 bool) (string, bool) {
	for _, text := range n.addresses {
		if a, err := netip.ParseAddr(text); err == nil && a.Unmap().Is4() == is4 {
			return a.Unmap().String(), true
		}
	}
	return "", false
}

// keepRoutes makes the routes that are missing or lead elsewhere, and removes ours to
// nodes that are gone. A node without a usable address does not keep the others from
// theirs.
func keepRoutes(others []node) error {
	want, err := hops(others)
	have, lerr := ours()
	if lerr != nil {
		return errors.Join(err, lerr)
	}
	for _, h := range want {
		if have[h.dst] != h.via {
			err = errors.Join(err, set(h))
		}
		delete(have, h.dst)
	}
	for dst := range have {
		err = errors.Join(err, remove(dst))
	}
	return err
}

// ours are the routes with our mark: destination to gateway.
func ours() (map[string]string, error) {
	list, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Protocol: protocol}, netlink.RT_FILTER_PROTOCOL)
	})
	if err != nil {
		return nil, fmt.Errorf("routes: list: %w", err)
	}
	have := make(map[string]string)
	for _, r := range list {
		if r.Dst != nil {
			have[r.Dst.String()] = r.Gw.String()
		}
	}
	return have, nil
}

func set(h hop) error {
	dst, err := netlink.ParseIPNet(h.dst)
	if err != nil {
		return err
	}
	via := netip.MustParseAddr(h.via) // address made it
	if err := netlink.RouteReplace(&netlink.Route{Dst: dst, Gw: via.AsSlice(), Protocol: protocol}); err != nil {
		return fmt.Errorf("route %s via %s: replace: %w", h.dst, h.via, err)
	}
	return nil
}

func remove(text string) error {
	dst, err := netlink.ParseIPNet(text)
	if err == nil {
		err = netlink.RouteDel(&netlink.Route{Dst: dst, Protocol: protocol})
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("route %s: delete: %w", text, err)
	}
	return nil
}
