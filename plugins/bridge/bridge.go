// Package bridge is the bridge plugin: it links a container to a port of a bridge on the host.
//
//	os.Exit(cni.Main(bridge.Plugin(), os.Args)) // what /opt/cni/bin/bridge does
package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/ipam"
	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
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

// Add attaches the container. An error leaves nothing: no link, lease, address or rule.
func Add(req *cni.Request) (res *current.Result, err error) {
	in, err := newInputs(req)
	if err != nil {
		return nil, err
	}
	pool, err := newIPAM(req, in.conf)
	if err != nil {
		return nil, err
	}
	err = plan.InContainer(req, func(s *plan.Session) error {
		if err := in.look(s); err != nil {
			return err
		}
		if err := s.Vacant(in.owner); err != nil {
			return err
		}
		add := in.addAfter
		if pool != nil && !pool.InProcess() {
			add = in.addAround
		} else {
			in.inUse = func(subnet netip.Prefix) (bool, error) { return lease.InUse(req, subnet, nil) }
		}
		leased, err := add(req, s, pool)
		if err != nil {
			return err
		}
		if err := in.lookAfter(s); err != nil {
			return errors.Join(plan.Coded(err), Del(req))
		}
		res = in.result(req, leased.DNS)
		return nil
	})
	return res, plan.Coded(err)
}

// newInputs reads the whole configuration, before anything is changed.
func newInputs(req *cni.Request) (*inputs, error) {
	c, err := Read(req)
	if err != nil {
		return nil, err
	}
	published, err := publish.Parse(req)
	return &inputs{conf: c, owner: plan.OwnerOf(req), mac: c.MAC, published: published}, err
}

// addAfter makes everything after the lease, with which the plan is complete. Where the
// address belongs to a living attachment, whose lease was lost, addAfter leases the next one.
func (in *inputs) addAfter(req *cni.Request, s *plan.Session, pool *ipam.IPAM) (*current.Result, error) {
	before := *in
	var used []netip.Addr
	add := func() (*current.Result, error) {
		return lease.AddBeside(req, func() ([]lease.Living, error) { return living(s, req.Network) }, used)
	}
	res, err := in.addLeased(req, s, pool, add)
	for held := new(plan.AddressHeldError); pool != nil && errors.As(err, &held) && in.conf.MAC == nil; {
		if !slices.ContainsFunc(addrsOf(in.prefixes()), func(a netip.Addr) bool { return !slices.Contains(used, a) }) {
			break // the request asks for this address
		}
		more, lerr := link.HeldAddresses(s, in.conf.Bridge)
		used = slices.Concat(used, more, addrsOf(in.prefixes()))
		if lerr != nil {
			return nil, errors.Join(err, lerr)
		}
		*in = before
		s.ForgetLinks()
		res, err = in.addLeased(req, s, pool, add)
	}
	return res, err
}

// living lists the attachments of the network that exist, with their addresses.
func living(s *plan.Session, network string) (list []lease.Living, err error) {
	links, err := link.Tagged(s, func(tag string) bool { return plan.OfNetwork(tag, network) })
	for _, l := range links {
		names, _ := label.Parse(l.Alias)
		prefixes, err := s.Host.PeerAddresses(l)
		if err != nil {
			continue // it has just gone
		}
		one := lease.Living{Addrs: addrsOf(prefixes)}
		if o := (plan.Owner{Network: network, ContainerID: names.Container, IfName: names.IfName}); o.Tag() == names.Tag {
			one.Owner = lease.Owner{ContainerID: o.ContainerID, IfName: o.IfName}
		}
		list = append(list, one)
	}
	return list, err
}

func (in *inputs) addLeased(req *cni.Request, s *plan.Session, pool *ipam.IPAM, add func() (*current.Result, error)) (*current.Result, error) {
	lease := &current.Result{}
	if pool != nil {
		var err error
		if lease, err = add(); err != nil {
			return nil, err
		}
		req.Log.Step("lease")
	}
	err := in.complete(lease)
	if err == nil {
		in.remembered, err = in.neighbours(s)
	}
	if err == nil {
		err = in.plan().Add(s)
		req.Log.Step("kernel")
	}
	if err != nil && pool != nil {
		err = errors.Join(plan.Coded(err), pool.Del(req))
	}
	return lease, err
}

// addAround makes the link before the lease, for a plugin that may ask through it.
func (in *inputs) addAround(req *cni.Request, s *plan.Session, pool *ipam.IPAM) (*current.Result, error) {
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
	err = in.complete(lease)
	if err == nil {
		err = in.late().Add(s)
	}
	if err != nil {
		err = errors.Join(plan.Coded(err), early.Del(s), pool.Del(req))
	}
	return lease, err
}

// Check compares the whole plan with the kernel, and asks the IPAM plugin.
func Check(req *cni.Request) error {
	in, err := newInputs(req)
	if err != nil {
		return err
	}
	pool, err := newIPAM(req, in.conf)
	if err != nil {
		return err
	}
	return plan.Coded(plan.InContainer(req, func(s *plan.Session) error {
		if err := in.expect(req, s); err != nil {
			return err
		}
		err := in.plan().Check(s)
		if in.conf.IsGateway && !in.conf.ForwardAccept {
			err = errors.Join(err, foreign.ForwardBlocked(s, in.conf.outLink()))
		}
		if err != nil {
			return in.explain(s, err)
		}
		if pool != nil {
			return pool.Check(req)
		}
		return nil
	}))
}

// expect completes the inputs of an attachment that exists by the result of its ADD.
func (in *inputs) expect(req *cni.Request, s *plan.Session) error {
	prev, err := req.Prev()
	if err != nil {
		return err
	}
	if err := in.look(s); err != nil {
		return err
	}
	return errors.Join(in.takePrevious(prev), in.confine(prev.DNS), in.publish())
}

// explain adds a hint to the differences of what another version or backend made.
func (in *inputs) explain(s *plan.Session, drift error) error {
	var other []string // chains of the backend that the configuration does not name
	if !in.conf.IPTables {
		other = append(other, firewall.MasqueradeIPTables{Owner: in.owner}.Chain())
	}
	return foreign.Explain(s, in.owner, in.prefixes(), drift, other...)
}

// Del removes rules, links, and last the leases, so that no address is handed out again while rules
// for it exist. It needs only the owner. Absent objects are success.
func Del(req *cni.Request) error {
	addrs := req.Tolerant().Addrs
	pool, err := ipam.New(req, req.Tolerant().IPAM)
	errs := []error{err}
	if pool != nil && pool.InProcess() && len(addrs) == 0 {
		held, _ := lease.Held(req) // objects whose addresses can't be read are found by the owner
		for _, a := range held {
			addrs = append(addrs, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	if err := delKernel(req, addrs); err != nil {
		// The lease stays: something of the container may still use the address.
		return errors.Join(append(errs, plan.Coded(err))...)
	}
	req.Log.Step("kernel")
	if pool != nil {
		if pool.InProcess() {
			errs = append(errs, plan.Coded(dropGateways(req, addrsOf(addrs))))
		}
		errs = append(errs, pool.Del(req))
		req.Log.Step("lease")
	}
	return errors.Join(errs...)
}

// GC removes all of this network that belongs to no valid attachment, and asks the IPAM plugin to
// do the same. Without a list of valid attachments it changes nothing. With the last attachment go
// our table and the bridge, if we made it.
func GC(req *cni.Request) error {
	pool, perr := ipam.New(req, req.Tolerant().IPAM)
	valid, present, err := req.Valid()
	if err != nil || !present {
		return errors.Join(perr, err)
	}
	return plan.Coded(plan.With(nil, func(s *plan.Session) error {
		errs := []error{perr, plan.Coded(owned.Sweep(s, req.Network, plan.OwnersOf(req, valid), owned.Everything))}
		if pool != nil {
			if pool.InProcess() {
				held, err := lease.Invalid(req, valid)
				errs = append(errs, err, plan.Coded(dropGateways(req, held)))
			}
			errs = append(errs, pool.GC(req))
		}
		if len(valid) == 0 {
			errs = append(errs, plan.Coded(foreign.RetireBridge(s, link.RealName(s, bridgeName(req)))))
		}
		return errors.Join(append(errs, plan.Coded(firewall.TidyRules(s)))...)
	}))
}

// Status says whether an ADD would work now. A kernel that no test ran on is no error, which would
// take the node out of service: it is a line on stderr, which runtimes log.
func Status(req *cni.Request) error {
	if text := kernel.Running().Old(); text != "" {
		fmt.Fprintln(os.Stderr, "bridge: warning:", text)
	}
	c, err := Read(req)
	if err != nil {
		return err
	}
	if err := statusKernel(c); err != nil {
		return err
	}
	pool, err := ipam.New(req, c.IPAM)
	if err != nil {
		return cni.Errorf(cni.CodeNotReady, "%w", err)
	}
	if pool == nil {
		return nil
	}
	return pool.Status(req)
}
