package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Flags of struct bridge_vlan_info, linux/if_bridge.h.
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

// Vlans are the VLANs of a bridge port. Vlans need the Veth before them, and go with it.
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
	if v.PVID != 0 { // last: a range with the same VLAN would take the flags away
		list = append(list, vlanInfo{vlanPVID | vlanUntagged, v.PVID})
	}
	return list
}

func (v Vlans) dropsDefault() bool {
	return !v.KeepDefault && v.PVID != defaultPVID && !slices.ContainsFunc(v.Tagged, func(r VlanRange) bool { return r.First <= defaultPVID && defaultPVID <= r.Last })
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
	msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
	msg.Index = int32(index)
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	for _, i := range infos {
		raw := binary.NativeEndian.AppendUint16(nil, i.flags)
		spec.AddRtAttr(nl.IFLA_BRIDGE_VLAN_INFO, binary.NativeEndian.AppendUint16(raw, i.vid))
	}
	return netlink.Request(kind, 0, msg, spec)
}

// Check compares the port's VLANs with the plan. The Veth reports a missing link.
func (v Vlans) Check(s *plan.Session) error {
	link, err := s.Host.Link(v.Link)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", v.Link, err)
	}
	have, err := portVlans(s.Host, link.Index)
	if err != nil {
		return fmt.Errorf("link %s: list VLANs: %w", v.Link, err)
	}
	return plan.Compare(plan.VLANKind, "link "+v.Link).Want("VLANs", v.text(), vlanText(have)).Err()
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
	vids := slices.Sorted(maps.Keys(all))
	var words []string
	for i := 0; i < len(vids); i++ {
		first := vids[i]
		for all[first] == 0 && i+1 < len(vids) && vids[i+1] == vids[i]+1 && all[vids[i+1]] == 0 {
			i++
		}
		words = append(words, VlanRange{first, vids[i]}.String()+when(all[first]&vlanPVID != 0, " pvid")+when(all[first]&vlanUntagged != 0, " untagged"))
	}
	return strings.Join(words, ", ")
}

// portVlans reads a port's VLANs and their flags. The kernel lists all ports.
func portVlans(c *netlink.Conn, index int) (map[uint16]uint16, error) {
	req := netlink.Request(unix.RTM_GETLINK, 0, nl.NewIfInfomsg(unix.AF_BRIDGE), netlink.Number(unix.IFLA_EXT_MASK, nl.RTEXT_FILTER_BRVLAN))
	all := make(map[uint16]uint16)
	err := c.Dump(req, func() { clear(all) }, func(data []byte) error {
		if len(data) < unix.SizeofIfInfomsg {
			return netlink.ErrShortLink
		}
		if int(nl.DeserializeIfInfomsg(data).Index) != index {
			return nil
		}
		infos, err := netlink.Attributes(netlink.Nested(data[unix.SizeofIfInfomsg:], unix.IFLA_AF_SPEC))
		for _, a := range infos {
			if a.Type == nl.IFLA_BRIDGE_VLAN_INFO && len(a.Value) >= 4 {
				all[netlink.U16(a.Value[2:])] = netlink.U16(a.Value) & (vlanPVID | vlanUntagged)
			}
		}
		return err
	})
	return all, err
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
