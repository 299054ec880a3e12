package kernel

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
)

// SweepIPTables removes the rules of a network's containers that are not valid, of
// our compatible backend and of the reference plugins, and the shared chains with
// the last of them. Their rules know the container, not the interface. Where neither
// variant of iptables is used it executes nothing.
func SweepIPTables(h *Host, network string, valid map[string]bool) error {
	var errs []error
	families, err := h.iptablesWith("")
	errs = append(errs, err)
	for _, f := range families {
		errs = append(errs, sweepFamily(f, network, valid))
	}
	// An ADD that was killed early has left nothing but the guard.
	guarding, err := h.iptablesGuarding()
	errs = append(errs, err)
	for _, f := range guarding {
		if !slices.Contains(families, f) {
			errs = append(errs, locked(f.Tidy))
		}
	}
	return errors.Join(errs...)
}

func sweepFamily(f iptables.Family, network string, valid map[string]bool) error {
	ids, err := f.Containers(network)
	if err != nil {
		return fmt.Errorf("iptables: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if !valid[id] {
			gone, err := iptables.Ports{Network: network, ContainerID: id}.Del(f)
			errs = append(errs, err, forgetRules(gone),
				iptables.Masquerade{Network: network, ContainerID: id}.Del(f))
		}
	}
	// An ADD that has seen the shared chains relies on them.
	return errors.Join(append(errs, locked(f.Tidy))...)
}
