package kernel

import (
	"errors"
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// SweepIPTables removes the rules of a network's containers that are not valid, of
// our compatible backend and of the reference plugins, and the shared chains with
// the last of them. Their rules know the container, not the interface. Where neither
// variant of iptables is used it executes nothing.
func SweepIPTables(h *Host, network string, valid map[string]bool) error {
	var errs []error
	for _, ipv6 := range []bool{false, true} {
		variants, err := h.natVariants(ipv6)
		errs = append(errs, err)
		for _, v := range variants {
			errs = append(errs, sweepFamily(iptables.Family{IPv6: ipv6, Variant: v}, network, valid))
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
	return errors.Join(append(errs, f.Tidy())...)
}

// natVariants says which variants of iptables have a table nat.
func (h *Host) natVariants(ipv6 bool) ([]iptables.Variant, error) {
	var list []iptables.Variant
	rules, err := h.Rules()
	if err == nil {
		var found bool
		if found, err = rules.HasNATChain(ipv6, "POSTROUTING"); found {
			list = append(list, "nft")
		}
	}
	if errors.Is(err, nft.ErrUnsupported) {
		err = nil
	}
	if (iptables.Family{IPv6: ipv6}).LegacyInUse() {
		list = append(list, "legacy")
	}
	return list, err
}
