package ruleset

import "github.com/bridgeport-cni/bridgeport/pkg/nft"

// lastTraffic is the name of the only chain of Traffic.
const lastTraffic = "traffic"

// Traffic is the block that looks at connections before the kernel translates an address: a packet
// for a container's own address did not come by a published port. The block exists only where a
// network asks for it.
func Traffic() nft.Block {
	return nft.Block{Place: nft.InTraffic, Last: lastTraffic, Chains: func() []nft.Chain { return []nft.Chain{trafficChain()} }}
}

func trafficChain() nft.Chain {
	return nft.Chain{
		Name: lastTraffic,
		Hook: &nft.Hook{Type: "filter", Name: "prerouting", Priority: -150, PriorityName: "mangle"},
		Rules: []nft.Rule{
			nft.NewRule("containers that only their own bridge reaches", nft.NotEstablished(), nft.DaddrVmap("hidden4")),
			nft.NewRule("containers that only their own bridge reaches", nft.NotEstablished(), nft.DaddrVmap("hidden6")),
			nft.NewRule("containers with a limit of connections", nft.IsNew(), nft.SaddrVmap("limited4")),
			nft.NewRule("containers with a limit of connections", nft.IsNew(), nft.SaddrVmap("limited6")),
		},
	}
}

// HideChain drops what comes from anywhere but the link.
func HideChain(network, link string) nft.Chain {
	return nft.Named(nft.HideChains+network, []nft.Rule{
		nft.NewRule("from its own bridge", nft.Iifname(link), nft.Return()),
		nft.NewRule("containers of "+network+" are reached by published ports alone", nft.Drop()),
	})
}

// LimitChain drops new connections of a container that has as many already.
func LimitChain(network string, connections uint32) nft.Chain {
	return nft.Named(nft.LimitChains+network, []nft.Rule{
		nft.NewRule("too many connections at once", nft.CountOver("flows4", connections), nft.Drop()),
		nft.NewRule("too many connections at once", nft.CountOver("flows6", connections), nft.Drop()),
	})
}
