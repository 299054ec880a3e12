package trace

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
)

// counter is what an element has counted.
func counter(e nft.Element) string {
	if e.Class() != nft.ClassPort {
		return "" // only these count
	}
	return fmt.Sprintf("%d connections", e.Connections)
}

// gate is the element that decides who may use the port of e; false where everybody may.
func (t *Tracer) gate(e nft.Element) (nft.Element, bool) {
	gate, _ := nft.AtGate(e, "")
	i := slices.IndexFunc(t.Rules, gate.SameKey)
	if i < 0 {
		return nft.Element{}, false
	}
	return t.Rules[i], true
}

// admits says whether a port's list of clients has the address; false for known where
// the list is not known.
func admits(a *attachment.Attachment, number uint16, client netip.Addr) (ok, known bool) {
	for _, p := range a.Ports {
		if p.HostPort != number || p.AllowFrom == nil {
			continue
		}
		return slices.ContainsFunc(p.AllowFrom, func(text string) bool {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				return text == client.String()
			}
			return prefix.Contains(client)
		}), true
	}
	return true, false
}
