// Package portmap is the portmap plugin: it publishes ports of a container on the host. It
// is chained after a plugin that gives the container an address.
//
//	os.Exit(cni.Main(portmap.Plugin(), os.Args)) // what /opt/cni/bin/portmap does
package portmap

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/owned"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Plugin is the verbs of portmap.
func Plugin() cni.Plugin {
	return cni.Plugin{
		Name: "portmap", About: "ports of the host that lead to containers",
		Add: Add, Check: Check, Del: Del, GC: GC, Status: Status, Undo: Del,
	}
}

// Add publishes the ports and passes the previous result on. A port that another
// attachment holds is CodeConflict. On error no port of the attachment is left.
func Add(req *cni.Request) (*current.Result, error) {
	return published(req, func(s *plan.Session, _ *publish.Publication, p plan.Plan, _ []netip.Prefix) error {
		return p.Add(s)
	})
}

// Check compares the rules and elements with the plan.
func Check(req *cni.Request) error {
	_, err := published(req, func(s *plan.Session, ports *publish.Publication, p plan.Plan, addrs []netip.Prefix) error {
		if drift := p.Check(s); drift != nil {
			return ports.Explain(s, addrs, drift)
		}
		return nil
	})
	return err
}

// published calls fn with the ports' plan and the addresses, and passes on the previous result.
func published(req *cni.Request, fn func(*plan.Session, *publish.Publication, plan.Plan, []netip.Prefix) error) (*current.Result, error) {
	ports, prev, err := read(req)
	if err != nil {
		return nil, err
	}
	addrs := cni.Addresses(prev, req.IfName)
	if ports.Empty(addrs) {
		return prev, nil
	}
	return prev, plan.Coded(plan.With(nil, func(s *plan.Session) error {
		p, err := ports.Plan(s, addrs)
		if err != nil {
			return err
		}
		return fn(s, ports, p, addrs)
	}))
}

// Expected is the plan of published ports, as CHECK compares it; empty without ports.
func Expected(req *cni.Request, s *plan.Session) (plan.Plan, error) {
	ports, prev, err := read(req)
	if err != nil {
		return plan.Plan{}, err
	}
	return ports.Plan(s, cni.Addresses(prev, req.IfName))
}

func read(req *cni.Request) (ports *publish.Publication, prev *current.Result, err error) {
	if ports, err = publish.Parse(req); err == nil {
		prev, err = req.Prev()
	}
	return ports, prev, err
}

// Del removes the attachment's ports. It needs only the owner. Ports and addresses in the
// configuration merely save a search. Absent ports are success.
func Del(req *cni.Request) error {
	return plan.Coded(plan.With(nil, func(s *plan.Session) error {
		addrs := req.Tolerant().Addrs
		err := publish.Withdraw(req, s, addrs)
		if len(addrs) == 0 {
			err = errors.Join(err, plan.Delete(s, foreign.ReferencePorts{Owner: plan.OwnerOf(req)}))
		}
		return err
	}))
}

// GC removes ports of this network's invalid attachments; nothing without a list of valid ones.
func GC(req *cni.Request) error {
	valid, present, err := req.Valid()
	if err != nil || !present {
		return err
	}
	return plan.Coded(plan.With(nil, func(s *plan.Session) error {
		err := owned.Sweep(s, req.Network, plan.OwnersOf(req, valid), owned.PortsOnly)
		return errors.Join(err, firewall.TidyRules(s))
	}))
}

// Status says whether ports could be published now.
func Status(req *cni.Request) error {
	ports, err := publish.Parse(req)
	if err != nil {
		return err
	}
	return ports.Ready()
}
