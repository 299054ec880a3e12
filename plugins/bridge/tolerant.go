package bridge

import (
	"bytes"
	"encoding/json"
	"net/netip"

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
		IPAM  json.RawMessage `json:"ipam"`
		Prev  json.RawMessage `json:"prevResult"`
		Valid json.RawMessage `json:"cni.dev/valid-attachments"`
	}
	// Each part is a hint; what can't be read is found by the owner.
	_ = json.Unmarshal(config, &w)
	var k known
	var t struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(w.IPAM, &t)
	k.ipam = t.Type
	var prev struct {
		IPs []struct {
			Address string `json:"address"`
		} `json:"ips"`
	}
	_ = json.Unmarshal(w.Prev, &prev)
	for _, ip := range prev.IPs {
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
	_ = json.NewDecoder(bytes.NewReader(config)).Decode(&w)
	if w.Bridge == "" {
		return defaultBridge
	}
	return w.Bridge
}
