package bridge

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/link"
)

// wireTrunk is one entry of vlanTrunk: a single VLAN, a range, or both.
type wireTrunk struct {
	MinID *int `json:"minID"`
	MaxID *int `json:"maxID"`
	ID    *int `json:"id"`
}

// vlans parses vlan and vlanTrunk. With an empty trunk the bridge tells VLANs apart, too, as
// in the reference.
func (w *wire) vlans(c *Conf) error {
	if w.Vlan < 0 || w.Vlan > maxVlan {
		return fmt.Errorf("vlan: invalid VLAN ID %d (must be between 0 and %d)", w.Vlan, maxVlan)
	}
	c.Vlan = uint16(w.Vlan)
	c.Vlans = w.Vlan != 0 || w.VlanTrunk != nil
	for i, t := range w.VlanTrunk {
		ranges, err := t.parse()
		if err != nil {
			return fmt.Errorf("vlanTrunk[%d]: %w", i, err)
		}
		c.VlanTrunk = append(c.VlanTrunk, ranges...)
	}
	return nil
}

func (t *wireTrunk) parse() ([]link.VlanRange, error) {
	if t == nil {
		return nil, fmt.Errorf("null is no VLAN: give {\"id\": 100} or {\"minID\": 100, \"maxID\": 200}")
	}
	if (t.MinID == nil) != (t.MaxID == nil) {
		return nil, fmt.Errorf("minID and maxID should be configured simultaneously")
	}
	var list []link.VlanRange
	for _, v := range []struct {
		name string
		id   *int
	}{{"minID", t.MinID}, {"maxID", t.MaxID}, {"id", t.ID}} {
		if v.id != nil && (*v.id < 1 || *v.id > maxVlan) {
			return nil, fmt.Errorf("%s: %d is outside 1-%d", v.name, *v.id, maxVlan)
		}
	}
	if t.MinID != nil {
		if *t.MinID > *t.MaxID {
			return nil, fmt.Errorf("minID: %d is greater than maxID %d", *t.MinID, *t.MaxID)
		}
		list = append(list, link.VlanRange{First: uint16(*t.MinID), Last: uint16(*t.MaxID)})
	}
	if t.ID != nil {
		list = append(list, link.VlanRange{First: uint16(*t.ID), Last: uint16(*t.ID)})
	}
	return list, nil
}

// port is the VLANs of the container's port. A trunk without a VLAN of its own keeps
// VLAN 1 for untagged frames.
func (c *Conf) port(name string) link.Vlans {
	v := link.Vlans{Link: name, PVID: c.Vlan, Tagged: c.VlanTrunk, KeepDefault: c.PreserveDefaultVlan}
	if c.Vlan == 0 && !c.PreserveDefaultVlan {
		v.PVID = 1
	}
	return v
}
