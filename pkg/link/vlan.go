package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Flags of struct bridge_vlan_info, linux/if_bridge.s.
const (
	vlanPVID       = 1 << 1
	vlanUntagged   = 1 << 2
	vlanRangeBegin = 1 << 3
	vlanRangeEnd   = 1 << 4
	defaultPVID    = 1 // what the kernel gives each new port (br->default_pvid)
)

// VlanRange is VLANs First to Last, both 1-4094.
type VlanRange struct{ First, Last uint16 }

func (r VlanRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Vlans are the VLANs of a bridge port. They go with the port.
type Vlans struct {
	Link        string      // the port
	PVID        uint16      // of untagged frames, in and out; 0 for none
	Tagged      []VlanRange // VLANs whose frames keep their tag
	KeepDefault bool        // keep VLAN 1, which the kernel gives each new port
}

// vlanInfo is one struct bridge_vlan_info.
type vlanInfo struct{ flags, vid uint16 }

func (v Vlans) wanted() []vlanInfo {
	var list []vlanInfo
	for _, r := range v.Tagged {
		if r.First == r.Last {
			list = append(list, vlanInfo{0, r.First})
			continue
		}
		list = append(list, vlanInfo{vlanRangeBegin, r.First}, vlanInfo{vlanRangeEnd, r.Last})
	}
	if v.PVID != 0 { // last, since a range that has it, too, would take its flags away
		list = append(list, vlanInfo{vlanPVID | vlanUntagged, v.PVID})
	}
	return list
}

func (v Vlans) dropsDefault() bool {
	return !v.KeepDefault && v.PVID != defaultPVID && !v.has(defaultPVID)
}

func (v Vlans) has(vid uint16) bool {
	return slices.ContainsFunc(v.Tagged, func(r VlanRange) bool { return r.First <= vid && vid <= r.Last })
}

// Add sets all VLANs in one request, after the port was made.
func (v Vlans) Add(s *plan.Session) error {
	link, err := s.Host.Link(v.Link)
	if err != nil {
		return fmt.Errorf("link %s: %w", v.Link, err)
	}
	if v.dropsDefault() {
		s.Host.Queue(vlanRequest(unix.RTM_DELLINK, link.Index, []vlanInfo{{0, defaultPVID}}), "link %s: remove VLAN %d", v.Link, defaultPVID)
	}
	s.Host.Queue(vlanRequest(unix.RTM_SETLINK, link.Index, v.wanted()), "link %s: set VLANs", v.Link)
	err = s.Host.Flush()
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w: the kernel lacks bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)", err)
	}
	return err
}

func vlanRequest(kind, index int, infos []vlanInfo) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, 0)
	msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
	msg.Index = int32(index)
	req.AddData(msg)
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	for _, i := range infos {
		raw := binary.NativeEndian.AppendUint16(nil, i.flags)
		spec.AddRtAttr(nl.IFLA_BRIDGE_VLAN_INFO, binary.NativeEndian.AppendUint16(raw, i.vid))
	}
	req.AddData(spec)
	return req
}

// Check compares the port's VLANs with the plan.
func (v Vlans) Check(s *plan.Session) error {
	d := plan.Compare(plan.VLANKind, "link "+v.Link)
	link, err := s.Host.Link(v.Link)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil // the link's own object says it
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", v.Link, err)
	}
	have, err := portVlans(s.Host, link.Index)
	if err != nil {
		return fmt.Errorf("link %s: list VLANs: %w", v.Link, err)
	}
	d.Want("VLANs", v.text(), vlanText(have))
	return d.Err()
}

// text is the wanted VLANs in the form that vlanText gives the kernel's.
func (v Vlans) text() string {
	all := make(map[uint16]uint16)
	if v.KeepDefault {
		all[defaultPVID] = vlanUntagged
		if v.PVID == 0 {
			all[defaultPVID] |= vlanPVID
		}
	}
	for _, r := range v.Tagged {
		for vid := r.First; vid <= r.Last; vid++ {
			all[vid] = 0
		}
	}
	if v.PVID != 0 {
		all[v.PVID] = vlanPVID | vlanUntagged
	}
	return vlanText(all)
}

func vlanText(all map[uint16]uint16) string {
	var vids []uint16
	for vid := range all {
		vids = append(vids, vid)
	}
	slices.Sort(vids)
	var words []string
	for i := 0; i < len(vids); i++ {
		first := vids[i]
		for all[first] == 0 && i+1 < len(vids) && vids[i+1] == vids[i]+1 && all[vids[i+1]] == 0 {
			i++
		}
		word := VlanRange{first, vids[i]}.String()
		if all[first]&vlanPVID != 0 {
			word += " pvid"
		}
		if all[first]&vlanUntagged != 0 {
			word += " untagged"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// portVlans reads a port's VLANs and their flags. The kernel lists all ports.
func portVlans(c *netlink.Conn, index int) (map[uint16]uint16, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	req.AddData(nl.NewIfInfomsg(unix.AF_BRIDGE))
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(nl.RTEXT_FILTER_BRVLAN)))
	all := make(map[uint16]uint16)
	err := c.Dump(req, func() { clear(all) }, func(data []byte) error {
		if len(data) < unix.SizeofIfInfomsg {
			return netlink.ErrShortLink
		}
		if int(nl.DeserializeIfInfomsg(data).Index) != index {
			return nil
		}
		attrs, err := netlink.Attributes(data[unix.SizeofIfInfomsg:])
		if err != nil {
			return err
		}
		for _, a := range attrs {
			if a.Type == unix.IFLA_AF_SPEC {
				if err := readVlans(a.Value, all); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return all, err
}

func readVlans(spec []byte, into map[uint16]uint16) error {
	attrs, err := netlink.Attributes(spec)
	if err != nil {
		return err
	}
	for _, a := range attrs {
		if a.Type == nl.IFLA_BRIDGE_VLAN_INFO && len(a.Value) >= 4 {
			flags := netlink.U16(a.Value)
			into[netlink.U16(a.Value[2:])] = flags & (vlanPVID | vlanUntagged)
		}
	}
	return nil
}

func (v Vlans) String() string {
	var lines []string
	if v.dropsDefault() {
		lines = append(lines, fmt.Sprintf("bridge vlan del dev %s vid %d", v.Link, defaultPVID))
	}
	for _, r := range v.Tagged {
		lines = append(lines, fmt.Sprintf("bridge vlan add dev %s vid %s", v.Link, r))
	}
	if v.PVID != 0 {
		lines = append(lines, fmt.Sprintf("bridge vlan add dev %s vid %d pvid untagged", v.Link, v.PVID))
	}
	return strings.Join(lines, "\n")
}
