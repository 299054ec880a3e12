package bridge

import (
	"encoding/json"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/containernetworking/cni/pkg/types"
)

// known is what DEL reads of a configuration that may be wrong otherwise.
type known struct {
	ipam     string
	prev     []netip.Prefix
	valid    []types.GCAttachment
	hasValid bool
}

func tolerant(config []byte) known {
	var w struct {
		IPAM struct {
			Type string `json:"type"`
		} `json:"ipam"`
		Prev struct {
			IPs []struct {
				Address string `json:"address"`
			} `json:"ips"`
		} `json:"prevResult"`
		Valid json.RawMessage `json:"cni.dev/valid-attachments"`
	}
	// Each part is a hint; what can't be read is found by the owner.
	_ = cni.Decode(config, &w)
	k := known{ipam: w.IPAM.Type}
	for _, ip := range w.Prev.IPs {
		if p, err := netip.ParsePrefix(ip.Address); err == nil {
			k.prev = append(k.prev, p)
		}
	}
	k.hasValid = w.Valid != nil && json.Unmarshal(w.Valid, &k.valid) == nil
	return k
}

func bridgeName(config []byte) string {
	var w struct {
		Bridge string `json:"bridge"`
	}
	// A wrong value names no bridge of ours.
	_ = cni.Decode(config, &w)
	if w.Bridge == "" {
		return defaultBridge
	}
	return w.Bridge
}
