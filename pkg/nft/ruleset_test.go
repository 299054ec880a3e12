package nft_test

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

func init() {
	subnets := []netip.Prefix{netip.MustParsePrefix("10.88.0.0/16")}
	nft.SetChains(ruleset.Base, ruleset.Frames, ruleset.Traffic, ruleset.Isolation, ruleset.Egress, ruleset.Neighbours,
		ruleset.MasqueradeChain("net", subnets), ruleset.ReplyChain("net", subnets, false),
		ruleset.GateChain("net", ruleset.Gate{Limited: true}))
}
