package main

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// protocol marks our routes (rtm_protocol): no others are removed. 98 has no meaning in linux/rtnetlink.h.
const protocol = 98

type hop struct {
	dst  netip.Prefix // a podCIDR
	via  netip.Addr   // its node's
	node string
}

// hops are the routes to each podCIDR, by its node's first address of the same family.
func hops(nodes []*corev1.Node) (list []hop, err error) {
	for _, n := range nodes {
		for _, text := range n.Spec.PodCIDRs {
			cidr, perr := netip.ParsePrefix(text)
			via := address(n, cidr.Addr().Is4())
			switch {
			case perr != nil:
				err = errors.Join(err, fmt.Errorf("node %s: podCIDRs: %w", n.Name, perr))
			case !via.IsValid():
				err = errors.Join(err, fmt.Errorf("node %s: no InternalIP of the family of %s", n.Name, cidr))
			default:
				list = append(list, hop{cidr.Masked(), via, n.Name})
			}
		}
	}
	return list, err
}

// address is the node's first InternalIP of the family, invalid without one.
func address(n *corev1.Node, is4 bool) netip.Addr {
	for _, found := range n.Status.Addresses {
		a, err := netip.ParseAddr(found.Address)
		if found.Type == corev1.NodeInternalIP && err == nil && a.Unmap().Is4() == is4 {
			return a.Unmap()
		}
	}
	return netip.Addr{}
}

// keep makes the routes that are missing or have another gateway, and removes ours to
// nodes that are gone. It goes on after an error of one node.
func (t table) keep(others []*corev1.Node) error {
	want, err := hops(others)
	gone := maps.Clone(t)
	h, herr := netlink.NewHandle(unix.NETLINK_ROUTE) // one socket for all
	if herr != nil {
		return errors.Join(err, herr)
	}
	defer h.Close()
	for _, w := range want {
		delete(gone, w.dst)
		if t[w.dst] == w.via {
			continue
		}
		dst := cni.IPNet(w.dst)
		if rerr := h.RouteReplace(&netlink.Route{Dst: &dst, Gw: w.via.AsSlice(), Protocol: protocol}); rerr != nil {
			err = errors.Join(err, w.inWords(rerr))
			continue
		}
		t[w.dst] = w.via
	}
	for prefix := range gone {
		dst := cni.IPNet(prefix)
		if derr := h.RouteDel(&netlink.Route{Dst: &dst, Protocol: protocol}); derr != nil && !errors.Is(derr, unix.ESRCH) {
			err = errors.Join(err, fmt.Errorf("route %s: delete: %w", prefix, derr))
			continue
		}
		delete(t, prefix)
	}
	return err
}

// inWords is the error of a route that could not be made. The kernel takes a gateway only if a link leads to
// it directly (fib_check_nh).
func (w hop) inWords(err error) error {
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EINVAL):
		return fmt.Errorf("node %s: %s is behind a router, so that no route to %s can lead there: use flannel, or routes by BGP and -routes=false: %w", w.node, w.via, w.dst, err)
	}
	return fmt.Errorf("node %s: route %s via %s: replace: %w", w.node, w.dst, w.via, err)
}

// table is the routes with our mark: destination to gateway.
type table map[netip.Prefix]netip.Addr

// ours reads them.
func ours() (table, error) {
	list, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Protocol: protocol}, netlink.RT_FILTER_PROTOCOL)
	})
	if err != nil {
		return nil, fmt.Errorf("routes: list: %w", err)
	}
	have := make(table)
	for _, r := range list {
		if r.Dst != nil {
			have[cni.Prefix(*r.Dst)] = cni.Addr(r.Gw)
		}
	}
	return have, nil
}
