package bridge

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Expected is the plan of an attachment, as CHECK compares it. s is open in the container.
func Expected(req *cni.Request, s *plan.Session) (plan.Plan, error) {
	in, err := newInputs(req)
	if err == nil {
		err = plan.Coded(in.expect(req, s))
	}
	if err != nil {
		return plan.Plan{}, err
	}
	return in.plan(), nil
}

// Draft is the plan and the result of an ADD that did not happen.
type Draft struct {
	Plan   plan.Plan
	Result *current.Result
	Addrs  []netip.Prefix
	Out    link.Towards // the host's link towards the container
}

// Planned drafts an ADD that was given the lease.
func Planned(req *cni.Request, s *plan.Session, lease *current.Result) (*Draft, error) {
	in, err := newInputs(req)
	if err == nil {
		err = plan.Coded(in.look(s))
	}
	if err == nil {
		err = in.complete(lease)
	}
	if err != nil {
		return nil, err
	}
	return &Draft{Plan: in.plan(), Result: in.result(req, lease.DNS), Addrs: in.prefixes(), Out: in.towards()}, nil
}

// Wire is the configuration as JSON has it, for tools that need to know its keys.
func Wire() any { return wire{} }
