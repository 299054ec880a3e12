package bridge

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/containernetworking/cni/pkg/types"
)

// known is what DEL and GC read of a configuration that may be wrong otherwise.
type known struct {
	ipam     string
	prev     []netip.Prefix
	valid    []types.GCAttachment
	hasValid bool
}

func tolerant(req *cni.Request) known {
	t := req.Tolerant()
	// A list that can't be read is none: GC changes nothing then.
	valid, present, err := req.Valid()
	return known{ipam: t.IPAM, prev: t.Addrs, valid: valid, hasValid: present && err == nil}
}

func bridgeName(req *cni.Request) string {
	var w struct {
		Bridge string `json:"bridge"`
	}
	// A wrong value names no bridge of ours.
	_ = req.Decode(&w)
	if w.Bridge == "" {
		return defaultBridge
	}
	return w.Bridge
}
