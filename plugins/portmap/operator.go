package portmap

import (
	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// Expected is the plan of published ports that exist, as CHECK compares it. Without
// ports it is empty.
func Expected(req *cni.Request, s *plan.Session) (plan.Plan, error) {
	c, err := parse(req)
	if err != nil {
		return plan.Plan{}, err
	}
	prev, err := req.Prev()
	if err != nil || len(c.Mappings) == 0 || len(cni.Addresses(prev, req.IfName)) == 0 {
		return plan.Plan{}, err
	}
	in, err := expected(req, c, prev, s)
	if err != nil {
		return plan.Plan{}, err
	}
	return in.plan(), nil
}

// Validate says what is wrong with a configuration, as ADD would.
func Validate(req *cni.Request) error {
	_, err := parse(req)
	return err
}

// Wire is the configuration as JSON has it, for tools that need to know its keys.
func Wire() any { return wire{} }
