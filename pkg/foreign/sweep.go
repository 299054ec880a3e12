package foreign

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/nft/strangers"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// SweepIPTables removes the rules of a network's containers that are not valid, of our compatible
// backend and of the reference plugins, and the shared chains with the last. These rules have the
// container, not the interface. It executes nothing where iptables is not used. Missing programs
// are an error only if there is something to remove (table nat may be kube-proxy's).
func SweepIPTables(s *plan.Session, network string, valid map[string]bool) error {
	var errs []error
	families, err := firewall.FamiliesWith(s, "")
	errs = append(errs, err)
	for _, f := range families {
		err := sweepFamily(s, f, network, valid)
		if errors.Is(err, iptables.ErrMissing) {
			err = onlyIfOurs(s, f, err)
		}
		errs = append(errs, err)
	}
	// An ADD that was killed early has left nothing but the guard.
	guarding, err := firewall.FamiliesGuarding(s)
	errs = append(errs, err)
	for _, f := range guarding {
		if !slices.Contains(families, f) {
			errs = append(errs, plan.Locked(f.Tidy))
		}
	}
	return errors.Join(errs...)
}

// onlyIfOurs is nil where the family has no chain of ours or of the reference. The legacy tables
// can't be listed without their programs.
func onlyIfOurs(s *plan.Session, f iptables.Family, missing error) error {
	rules, err := s.Rules()
	if err != nil || f.Variant != "nft" {
		return nil
	}
	has, err := strangers.HasChains(rules, f.IPv6, iptables.ChainPrefix)
	if err == nil && has {
		return missing
	}
	return err
}

func sweepFamily(s *plan.Session, f iptables.Family, network string, valid map[string]bool) error {
	ids, err := f.Containers(network)
	if err != nil {
		return fmt.Errorf("iptables: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if !valid[id] {
			gone, err := iptables.Ports{Network: network, ContainerID: id}.Del(f)
			errs = append(errs, err, firewall.ForgetRules(s, gone),
				iptables.Masquerade{Network: network, ContainerID: id}.Del(f))
		}
	}
	// An ADD that has seen the shared chains relies on them.
	return errors.Join(append(errs, plan.Locked(f.Tidy))...)
}
