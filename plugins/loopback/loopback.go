// Package loopback is the loopback plugin: containerd and CRI-O bring a container's lo up by it.
//
//	os.Exit(cni.Main(loopback.Plugin(), os.Args)) // what /opt/cni/bin/loopback does
package loopback

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
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

// Add brings lo up. The result is lo with its addresses or, in a chain, the previous one.
func Add(req *cni.Request) (res *current.Result, err error) {
	res, err = previous(req)
	if err != nil {
		return nil, err
	}
	err = plan.InContainer(req, func(s *plan.Session) error {
		link := link.Loopback{}
		if err := link.Add(s); err != nil || res != nil {
			return err
		}
		addrs, err := link.Addresses(s)
		if err != nil {
			return errors.Join(err, link.Del(s))
		}
		res = result(req, addrs)
		return nil
	})
	return res, cni.WithCode(cni.CodeKernel, err)
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
func Check(req *cni.Request) error {
	prev, err := previous(req)
	if err != nil {
		return err
	}
	return plan.Coded(plan.InContainer(req, func(s *plan.Session) error {
		return link.Loopback{Addrs: addresses(prev)}.Check(s)
	}))
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

// Del takes lo down. It does nothing without the namespace, or in the host's own.
func Del(req *cni.Request) error {
	err := plan.InContainer(req, link.Loopback{}.Del)
	if cni.Code(err) == cni.CodeNetns {
		return nil
	}
	return cni.WithCode(cni.CodeKernel, err)
}

// GC does nothing: lo goes with its namespace.
func GC(*cni.Request) error { return nil }

// Status says whether the plugin may speak to the kernel.
func Status(*cni.Request) error {
	return cni.WithCode(cni.CodeNotReady, plan.With(nil, func(*plan.Session) error { return nil }))
}

// previous is the previous result; nil without one, since loopback is seldom chained.
func previous(req *cni.Request) (*current.Result, error) {
	prev, err := req.Prev()
	if cni.Code(err) == cni.CodeConfig {
		return nil, nil
	}
	return prev, err
}
