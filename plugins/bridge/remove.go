package bridge

import (
	"errors"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/ipam"
	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/plugins/hostlocal"
	"github.com/bridgeport-cni/bridgeport/plugins/portmap"
)

func delIPAM(req *cni.Request, k known) (*ipam.IPAM, error) {
	if k.ipam == "" {
		return nil, nil
	}
	return ipam.New(req, k.ipam, hostlocal.Plugin())
}

// delKernel removes the links by the name of the host's end, wherever the other end
// is and whether its namespace still exists. It looks into the container only for a
// link that another plugin made.
func delKernel(req *cni.Request, k known) (err error) {
	var ns *netns.NS
	if len(k.prev) > 0 { // without addresses nothing in there is known to be the attachment's
		if ns = container(req); ns != nil {
			defer ns.Close()
		}
	}
	h, err := kernel.Open(ns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	o := owner(req)
	// Backwards: ports before the link, which is their sign that connections may be left;
	// rules after it, so that the container is never without those that keep it in bounds.
	// With portmap in the list it is faster, too: what portmap has just deleted is in the
	// way of further rules for an RCU grace period, and the link takes one anyway.
	return kernel.Plan{Own: append([]kernel.Object{
		kernel.Guard{Owner: o},
		kernel.Restriction{Owner: o},
		kernel.Masquerade{Owner: o, Addrs: k.prev},
		kernel.MasqueradeIPTables{Owner: o, Known: k.prev},
		kernel.TheirMasquerade{Owner: o},
		kernel.Inherited{IfName: req.IfName, Addrs: k.prev},
		kernel.Veth{Owner: o},
	}, portmap.Withdrawal(req, k.prev).Own...)}.Del(h)
}

func sweep(req *cni.Request, k known, h *kernel.Host) error {
	valid, ids := make(map[string]bool), make(map[string]bool)
	var owners []kernel.Owner
	for _, a := range k.valid {
		o := kernel.Owner{Network: req.Network, ContainerID: a.ContainerID, IfName: a.IfName}
		owners = append(owners, o)
		ids[a.ContainerID], valid[o.Tag()] = true, true
	}
	tags, err := kernel.Owners(h, req.Network)
	errs := []error{err}
	for _, tag := range tags {
		if !valid[tag] {
			errs = append(errs, kernel.Sweep(h, tag))
		}
	}
	errs = append(errs,
		kernel.SweepIPTables(h, req.Network, ids),
		kernel.SweepTheirMasquerade(h, req.Network, owners),
		kernel.SweepTheirPorts(h, req.Network, ids))
	return coded(errors.Join(errs...))
}
