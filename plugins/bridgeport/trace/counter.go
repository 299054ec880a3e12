package trace

import "github.com/bridgeport-cni/bridgeport/pkg/nft"

// counter is what an element has counted; "" where it does not count.
func counter(nft.Element) string { return "" }
