// Package loopback is the loopback plugin: lo of a container comes up. containerd
// and CRI-O call it beside every network.
package loopback

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// lo is the link's name, whatever CNI_IFNAME says.
const lo = "lo"

// Plugin is the verbs of loopback.
func Plugin() cni.Plugin {
	return cni.Plugin{
		Name: "loopback", About: "the container's own loopback link",
		Add: Add, Check: Check, Del: Del, GC: GC, Status: Status, Undo: Del,
	}
}

// Add brings lo up. The result is lo with the addresses that the kernel gives it,
// or, in a chain, the previous one.
func Add(req *cni.Request) (_ *current.Result, err error) {
	prev, err := previous(req)
	if err != nil {
		return nil, err
	}
	s, end, err := open(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	link := link.Loopback{}
	if err := link.Add(s); err != nil {
		return nil, cni.WithCode(cni.CodeKernel, err)
	}
	if prev != nil {
		return prev, nil
	}
	addrs, err := link.Addresses(s)
	if err != nil {
		return nil, cni.WithCode(cni.CodeKernel, errors.Join(err, link.Del(s)))
	}
	return result(req, addrs), nil
}

func result(req *cni.Request, addrs []netip.Prefix) *current.Result {
	res := &current.Result{
		CNIVersion: current.ImplementedSpecVersion,
		Interfaces: []*current.Interface{{Name: lo, Mac: "00:00:00:00:00:00", Sandbox: req.Netns}},
	}
	for _, a := range addrs {
		res.IPs = append(res.IPs, &current.IPConfig{Interface: current.Int(0), Address: cni.IPNet(a)})
	}
	return res
}

// Check wants lo up, with the addresses that the result of ADD names for it.
func Check(req *cni.Request) (err error) {
	prev, err := previous(req)
	if err != nil {
		return err
	}
	s, end, err := open(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	return cni.WithCode(cni.CodeDrift, link.Loopback{Addrs: addresses(prev)}.Check(s))
}

// addresses are those that the result has on lo.
func addresses(prev *current.Result) (list []netip.Prefix) {
	if prev == nil {
		return nil
	}
	for _, ip := range prev.IPs {
		if i := ip.Interface; i != nil && *i >= 0 && *i < len(prev.Interfaces) && prev.Interfaces[*i].Name == lo {
			list = append(list, cni.Prefix(ip.Address))
		}
	}
	return list
}

// Del takes lo down. Without the namespace there is nothing to do, and in the
// host's own nothing that may be done.
func Del(req *cni.Request) (err error) {
	s, end, err := open(req)
	if cni.Code(err) == cni.CodeNetns {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	return cni.WithCode(cni.CodeKernel, link.Loopback{}.Del(s))
}

// GC does nothing: lo goes with its namespace.
func GC(*cni.Request) error { return nil }

// Status says whether the plugin may speak to the kernel.
func Status(*cni.Request) error {
	s, err := plan.Open(nil)
	if err != nil {
		return cni.WithCode(cni.CodeNotReady, err)
	}
	return s.Close()
}

// open opens the container's namespace and sockets; end closes both.
func open(req *cni.Request) (s *plan.Session, end func() error, err error) {
	ns, err := netns.OpenOther(req.Netns, req.Override)
	if err != nil {
		return nil, nil, cni.Errorf(cni.CodeNetns, "CNI_NETNS: %w", err)
	}
	if s, err = plan.Open(ns); err != nil {
		return nil, nil, errors.Join(cni.WithCode(cni.CodeKernel, err), ns.Close())
	}
	return s, func() error { return errors.Join(s.Close(), ns.Close()) }, nil
}

// previous is the previous result; nil without one, since loopback is seldom chained.
func previous(req *cni.Request) (*current.Result, error) {
	prev, err := req.Prev()
	if cni.Code(err) == cni.CodeConfig {
		return nil, nil
	}
	return prev, err
}
