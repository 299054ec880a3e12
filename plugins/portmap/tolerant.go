package portmap

import (
	"encoding/json"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// tolerantAddresses are containerAddresses for DEL, of a result that may be wrong. What can't
// be read is found by the owner.
func tolerantAddresses(req *cni.Request) []netip.Prefix {
	var w struct {
		Prev struct {
			Interfaces []*current.Interface `json:"interfaces"`
			IPs        []*current.IPConfig  `json:"ips"`
		} `json:"prevResult"`
	}
	_ = cni.Decode(req.Config, &w)
	list := containerAddresses(&current.Result{Interfaces: w.Prev.Interfaces, IPs: w.Prev.IPs}, req.IfName)
	if len(list) > 0 {
		return list
	}
	prev, err := cni.PrevResult(req) // versions before 0.3.0 have another form
	if err != nil {
		return nil
	}
	return containerAddresses(prev, req.IfName)
}

// tolerantMappings is what DEL reads of a configuration that may be wrong; what it
// can't read is found by the owner.
func tolerantMappings(config []byte) []Mapping {
	var w struct {
		RuntimeConfig struct {
			PortMappings []json.RawMessage `json:"portMappings"`
		} `json:"runtimeConfig"`
	}
	_ = cni.Decode(config, &w)
	var list []Mapping
	for _, raw := range w.RuntimeConfig.PortMappings {
		var m wireMapping
		if cni.Decode(raw, &m) != nil {
			continue
		}
		if mapping, err := m.parse(""); err == nil {
			list = append(list, mapping)
		}
	}
	return list
}
