package bridge

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/ipam"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/owned"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
)

func delIPAM(req *cni.Request) (*ipam.IPAM, error) {
	name := req.Tolerant().IPAM
	if name == "" {
		return nil, nil
	}
	return ipam.New(req, name)
}

// delKernel removes the links by the name of the host's end, wherever the other end
// is and whether its namespace still exists. It looks into the container only for a
// link that another plugin made.
func delKernel(req *cni.Request, addrs []netip.Prefix) (err error) {
	var ns *netns.NS
	if len(addrs) > 0 { // without addresses nothing in there is known to be the attachment's
		if ns = container(req); ns != nil {
			defer ns.Close()
		}
	}
	s, err := plan.Open(ns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	o := plan.OwnerOf(req)
	// Ports before the link, which is their sign that connections may be left; rules after
	// the link, so that the container is never without those that keep it in bounds. With
	// portmap in the list this is faster, too: what portmap has just deleted is in the way of
	// further rules for an RCU grace period, and the link takes one anyway.
	rest := owned.By(o, addrs)
	bounds := plan.Plan{Bounds: rest.Bounds()}
	return errors.Join(
		publish.Withdraw(req, s, addrs),
		plan.Delete(s, rest.Veth, foreign.ReferenceLink{IfName: req.IfName, Addrs: addrs}, foreign.ReferenceMasquerade{Owner: o}),
		bounds.Del(s))
}
