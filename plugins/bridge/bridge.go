// Package bridge is the bridge plugin: a container gets a link, whose other end is
// a port of a bridge on the host.
package bridge

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/ipam"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/owned"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Plugin is the verbs of bridge.
func Plugin() cni.Plugin {
	return cni.Plugin{
		Name: "bridge", About: "containers on a Linux bridge, with gateway, masquerade and host-local addresses",
		Add: Add, Check: Check, Del: Del, GC: GC, Status: Status, Undo: Del,
	}
}

// Add attaches the container. On error nothing of the attachment is left: no link,
// lease, address or rule.
func Add(req *cni.Request) (_ *current.Result, err error) {
	c, err := parse(req)
	if err != nil {
		return nil, err
	}
	ports, err := publish.Parse(req)
	if err != nil {
		return nil, err
	}
	pool, err := newIPAM(req, c)
	if err != nil {
		return nil, err
	}
	ns, err := openNetns(req)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	s, err := plan.Open(ns)
	if err != nil {
		return nil, cni.WithCode(cni.CodeKernel, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	in, err := prepare(req, c, s)
	if err != nil {
		return nil, coded(err)
	}
	var leased *current.Result
	if pool != nil && !pool.InProcess() {
		leased, err = in.addAround(req, s, pool, ports)
	} else {
		in.inUse = func(subnet netip.Prefix) (bool, error) { return lease.InUse(req, subnet, nil) }
		leased, err = in.addAfter(req, s, pool, ports)
	}
	if err != nil {
		return nil, coded(err)
	}
	if err := in.lookVlan(s); err != nil {
		return nil, errors.Join(coded(err), Del(req))
	}
	return in.result(req, leased.DNS), nil
}

// addAfter makes everything after the lease: what the plan needs is known then.
func (in *inputs) addAfter(req *cni.Request, s *plan.Session, pool *ipam.IPAM, ports *publish.Publication) (*current.Result, error) {
	lease := &current.Result{}
	if pool != nil {
		var err error
		if lease, err = pool.Add(req); err != nil {
			return nil, err
		}
		req.Log.Step("lease")
	}
	err := in.complete(lease, ports)
	if err == nil {
		err = in.plan().Add(s)
		req.Log.Step("kernel")
	}
	if err != nil && pool != nil {
		err = errors.Join(coded(err), pool.Del(req))
	}
	return lease, err
}

// addAround makes the link before the lease, for a plugin that may ask through it.
func (in *inputs) addAround(req *cni.Request, s *plan.Session, pool *ipam.IPAM, ports *publish.Publication) (*current.Result, error) {
	if in.mac == nil {
		in.mac = in.owner.ContainerMAC(nil)
	}
	early := in.early()
	if err := early.Add(s); err != nil {
		return nil, err
	}
	lease, err := pool.Add(req)
	if err != nil {
		return nil, errors.Join(err, early.Del(s))
	}
	err = in.complete(lease, ports)
	if err == nil {
		err = in.late().Add(s)
	}
	if err != nil {
		err = errors.Join(coded(err), early.Del(s), pool.Del(req))
	}
	return lease, err
}

// coded gives kernel errors their code.
func coded(err error) error {
	if errors.Is(err, plan.ErrConflict) {
		return cni.WithCode(cni.CodeConflict, err)
	}
	return cni.WithCode(cni.CodeKernel, err)
}

// Check compares the whole plan, in the container and on the host, with what the
// kernel has, and asks the IPAM plugin.
func Check(req *cni.Request) (err error) {
	c, err := parse(req)
	if err != nil {
		return err
	}
	pool, err := newIPAM(req, c)
	if err != nil {
		return err
	}
	ns, err := openNetns(req)
	if err != nil {
		return err
	}
	defer ns.Close()
	s, err := plan.Open(ns)
	if err != nil {
		return cni.WithCode(cni.CodeKernel, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	in, err := expected(req, c, s)
	if err != nil {
		return err
	}
	err = in.plan().Check(s)
	if c.IsGateway && !c.ForwardAccept {
		err = errors.Join(err, foreign.ForwardBlocked(s, in.outLink()))
	}
	if err != nil {
		return cni.WithCode(cni.CodeDrift, in.explain(s, err))
	}
	if pool != nil {
		return pool.Check(req)
	}
	return nil
}

// expected is the inputs of an attachment that exists, by the result of its ADD.
func expected(req *cni.Request, c *Conf, s *plan.Session) (inputs, error) {
	prev, err := req.Prev()
	if err != nil {
		return inputs{}, err
	}
	facts, err := look(c, s)
	if err != nil {
		return inputs{}, coded(err)
	}
	ports, err := publish.Parse(req)
	if err != nil {
		return inputs{}, err
	}
	in := inputs{conf: c, owner: plan.OwnerOf(req), facts: facts}
	return in, errors.Join(in.takePrevious(prev), in.publish(ports))
}

// Del removes everything of the attachment: rules, links, and last the leases, so
// that an address is not handed out again while rules for it exist. It needs only
// the owner; what is absent is success.
func Del(req *cni.Request) error {
	addrs := req.Tolerant().Addrs
	pool, err := delIPAM(req)
	errs := []error{err}
	if pool != nil && pool.InProcess() && len(addrs) == 0 {
		// What can't be read here is found by the owner.
		held, _ := lease.Held(req)
		for _, a := range held {
			addrs = append(addrs, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	if err := delKernel(req, addrs); err != nil {
		// The lease stays: something of the container may still use the address.
		return errors.Join(append(errs, coded(err))...)
	}
	req.Log.Step("kernel")
	if pool != nil {
		if pool.InProcess() {
			errs = append(errs, coded(dropGateways(req, addrsOf(addrs))))
		}
		errs = append(errs, pool.Del(req))
		req.Log.Step("lease")
	}
	return errors.Join(errs...)
}

// GC removes everything of this network that belongs to no valid attachment, and
// asks the IPAM plugin to do the same. Without a list of valid attachments it
// changes nothing. With the last attachment go the bridge, if we made it, and our
// table.
func GC(req *cni.Request) (err error) {
	pool, perr := delIPAM(req)
	valid, present, err := req.Valid()
	if err != nil || !present {
		return errors.Join(perr, err)
	}
	s, err := plan.Open(nil)
	if err != nil {
		return cni.WithCode(cni.CodeKernel, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	errs := []error{perr, coded(owned.Sweep(s, req.Network, plan.OwnersOf(req, valid), owned.Everything))}
	if pool != nil {
		if pool.InProcess() {
			held, err := lease.Invalid(req, valid)
			errs = append(errs, err, coded(dropGateways(req, held)))
		}
		errs = append(errs, pool.GC(req))
	}
	if len(valid) == 0 {
		errs = append(errs, coded(foreign.RetireBridge(s, bridgeName(req))))
	}
	errs = append(errs, coded(firewall.TidyRules(s)))
	return errors.Join(errs...)
}

// Status says whether an ADD would work now.
func Status(req *cni.Request) error {
	c, err := parse(req)
	if err != nil {
		return err
	}
	if err := statusKernel(c); err != nil {
		return err
	}
	if c.IPAM == "" {
		return nil
	}
	pool, err := ipam.New(req, c.IPAM)
	if err != nil {
		return cni.Errorf(cni.CodeNotReady, "%w", err)
	}
	return pool.Status(req)
}
