package publish

import (
	"encoding/json"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// tolerantMappings is what DEL reads of a configuration that may be wrong; what it
// can't read is found by the owner.
func tolerantMappings(req *cni.Request) []Mapping {
	var list []Mapping
	for _, raw := range req.Tolerant().PortMappings {
		var m wireMapping
		if json.Unmarshal(raw, &m) != nil {
			continue
		}
		if mapping, err := m.parse(""); err == nil {
			list = append(list, mapping)
		}
	}
	return list
}
