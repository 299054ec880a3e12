package kernel

import (
	"errors"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// iptablesWith lists the families and variants of iptables that have a chain in their
// table nat, by asking the kernel, without executing anything. "" asks for the table.
func (h *Host) iptablesWith(chain string) ([]iptables.Family, error) {
	var list []iptables.Family
	over := chain
	if over == "" {
		over = "POSTROUTING"
	}
	rules, err := h.Rules()
	if err == nil {
		var ipv4, ipv6 bool
		ipv4, ipv6, err = rules.NATChain(over)
		if ipv4 {
			list = append(list, iptables.Family{Variant: "nft"})
		}
		if ipv6 {
			list = append(list, iptables.Family{IPv6: true, Variant: "nft"})
		}
	}
	if err != nil && !errors.Is(err, nft.ErrUnsupported) {
		return list, err
	}
	if h.legacy == nil {
		h.legacy = []iptables.Family{}
		for _, f := range []iptables.Family{{Variant: "legacy"}, {IPv6: true, Variant: "legacy"}} {
			if f.LegacyInUse() {
				h.legacy = append(h.legacy, f)
			}
		}
	}
	for _, f := range h.legacy {
		found := chain == ""
		if !found {
			if found, err = f.LegacyHasChain(chain); err != nil {
				return list, err
			}
		}
		if found {
			list = append(list, f)
		}
	}
	return list, nil
}
