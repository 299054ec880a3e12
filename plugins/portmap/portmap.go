// Package portmap is the portmap plugin: ports of the host lead to a container. It
// is chained after a plugin that gives the container an address.
package portmap

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/owned"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Plugin is the verbs of portmap.
func Plugin() cni.Plugin {
	return cni.Plugin{
		Name: "portmap", About: "ports of the host that lead to containers",
		Add: Add, Check: Check, Del: Del, GC: GC, Status: Status, Undo: Del,
	}
}

func owner(req *cni.Request) plan.Owner {
	return plan.Owner{Network: req.Network, ContainerID: req.ContainerID, IfName: req.IfName, Pod: req.Pod}
}

// Add publishes the ports and passes the previous result on. A port that another
// attachment holds is CodeConflict. On error no port of the attachment is left.
func Add(req *cni.Request) (_ *current.Result, err error) {
	c, err := parse(req)
	if err != nil {
		return nil, err
	}
	prev, err := req.Prev()
	if err != nil {
		return nil, err
	}
	if len(c.Mappings) == 0 || len(cni.Addresses(prev, req.IfName)) == 0 {
		return prev, nil // nothing to publish, or, on layer 2, nowhere to lead to
	}
	s, in, err := prepare(req, c, prev)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := in.plan().Add(s); err != nil {
		return nil, coded(err)
	}
	return prev, nil
}

// prepare combines configuration and previous result; the caller closes the Host.
func prepare(req *cni.Request, c *Conf, prev *current.Result) (*plan.Session, inputs, error) {
	s, err := plan.Open(nil)
	if err != nil {
		return nil, inputs{}, cni.WithCode(cni.CodeKernel, err)
	}
	in, err := expected(req, c, prev, s)
	if err != nil {
		return nil, in, errors.Join(err, s.Close())
	}
	return s, in, nil
}

func expected(req *cni.Request, c *Conf, prev *current.Result, s *plan.Session) (in inputs, err error) {
	in = inputs{conf: c, owner: owner(req), addrs: cni.Addresses(prev, req.IfName)}
	if in.ports, err = c.ports(in.addrs); err != nil {
		return in, err
	}
	if in.link4, err = link.LinkTowards(s, first(in.addrs, true)); err == nil {
		in.link6, err = link.LinkTowards(s, first(in.addrs, false))
	}
	return in, cni.WithCode(cni.CodeKernel, err)
}

// first is the first address of a family, invalid if there is none.
func first(addrs []netip.Prefix, is4 bool) netip.Addr {
	for _, a := range addrs {
		if a.Addr().Is4() == is4 {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

// coded gives kernel errors their code.
func coded(err error) error {
	switch {
	case errors.Is(err, plan.ErrConflict):
		return cni.WithCode(cni.CodeConflict, err)
	case errors.Is(err, nft.ErrUnsupported):
		return cni.WithCode(cni.CodeNotReady, err)
	}
	return cni.WithCode(cni.CodeKernel, err)
}

// Check compares the rules and elements with the plan.
func Check(req *cni.Request) (err error) {
	c, err := parse(req)
	if err != nil {
		return err
	}
	prev, err := req.Prev()
	if err != nil {
		return err
	}
	if len(c.Mappings) == 0 || len(cni.Addresses(prev, req.IfName)) == 0 {
		return nil
	}
	s, in, err := prepare(req, c, prev)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	drift := in.plan().Check(s)
	if drift == nil {
		return nil
	}
	var other []string // where our other backend has its rules
	if !c.IPTables {
		other = append(other, firewall.PortsIPTables{Owner: in.owner}.Chain())
	}
	if where, werr := foreign.MadeBy(s, in.owner, in.addrs, other...); werr == nil && where != "" {
		drift = foreign.NotOursError(where, drift)
	}
	return cni.WithCode(cni.CodeDrift, drift)
}

// Del removes the attachment's ports. It needs only the owner; ports and addresses
// in the configuration merely save a search. What is absent is success.
func Del(req *cni.Request) (err error) {
	s, err := plan.Open(nil)
	if err != nil {
		return cni.WithCode(cni.CodeKernel, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	addrs := req.Tolerant().Addrs
	err = Withdraw(req, s, addrs)
	if len(addrs) == 0 {
		err = errors.Join(err, plan.Delete(s, foreign.ReferencePorts{Owner: owner(req)}))
	}
	return coded(err)
}

// GC removes the ports of this network's attachments that are not valid any more.
// Without a list of valid attachments it changes nothing.
func GC(req *cni.Request) (err error) {
	list, present, err := req.Valid()
	if err != nil || !present {
		return err
	}
	var valid []plan.Owner
	for _, a := range list {
		valid = append(valid, plan.Owner{Network: req.Network, ContainerID: a.ContainerID, IfName: a.IfName})
	}
	s, err := plan.Open(nil)
	if err != nil {
		return cni.WithCode(cni.CodeKernel, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	err = owned.Sweep(s, req.Network, valid, owned.PortsOnly)
	return coded(errors.Join(err, firewall.TidyRules(s)))
}

// Status says whether ports could be published now.
func Status(req *cni.Request) error {
	c, err := parse(req)
	if err != nil {
		return err
	}
	if c.IPTables {
		if err := (iptables.Family{}).Available(); err != nil {
			return cni.Errorf(cni.CodeNotReady, "backend: %w", err)
		}
		return nil
	}
	rules, err := nft.Open()
	if err != nil {
		return cni.Errorf(cni.CodeNotReady, "portmap: %w: load the nf_tables modules", err)
	}
	return rules.Close() // nothing was changed
}
