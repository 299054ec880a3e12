package link

import (
	"errors"
	"strings"
	"testing"

	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestVlans: the commands, and the state that CHECK wants to find.
func TestVlans(t *testing.T) {
	tests := []struct {
		name           string
		in             Vlans
		commands, want string
	}{
		{"access port", Vlans{PVID: 100}, "bridge vlan del dev p vid 1\nbridge vlan add dev p vid 100 pvid untagged", "100 pvid untagged"},
		{"VLAN 1", Vlans{PVID: 1}, "bridge vlan add dev p vid 1 pvid untagged", "1 pvid untagged"},
		{"trunk", Vlans{Tagged: []VlanRange{{200, 210}, {300, 300}}}, "bridge vlan del dev p vid 1\nbridge vlan add dev p vid 200-210\nbridge vlan add dev p vid 300", "200-210, 300"},
		{"trunk, access", Vlans{PVID: 100, Tagged: []VlanRange{{200, 201}}}, "bridge vlan del dev p vid 1\nbridge vlan add dev p vid 200-201\nbridge vlan add dev p vid 100 pvid untagged", "100 pvid untagged, 200-201"},
		{"trunk with VLAN 1", Vlans{PVID: 100, Tagged: []VlanRange{{1, 2}}}, "bridge vlan add dev p vid 1-2\nbridge vlan add dev p vid 100 pvid untagged", "1-2, 100 pvid untagged"},
		{"default kept", Vlans{PVID: 100, KeepDefault: true}, "bridge vlan add dev p vid 100 pvid untagged", "1 untagged, 100 pvid untagged"},
		{"default kept, no other", Vlans{Tagged: []VlanRange{{5, 5}}, KeepDefault: true}, "bridge vlan add dev p vid 5", "1 pvid untagged, 5"},
		{"neighbours join", Vlans{Tagged: []VlanRange{{5, 6}, {7, 7}, {9, 9}}}, "bridge vlan del dev p vid 1\nbridge vlan add dev p vid 5-6\nbridge vlan add dev p vid 7\nbridge vlan add dev p vid 9", "5-7, 9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.Link = "p"
			if got := tt.in.String(); got != tt.commands {
				t.Errorf("got  %s\nwant %s", got, tt.commands)
			}
			if got := tt.in.text(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestVlansOrder: the kernel takes the flags of a VLAN that is named twice from the
// last (__vlan_flags_update), so the port's own comes after the trunk's.
func TestVlansOrder(t *testing.T) {
	got := Vlans{PVID: 100, Tagged: []VlanRange{{100, 102}, {200, 200}}}.wanted()
	if last := got[len(got)-1]; last != (vlanInfo{vlanPVID | vlanUntagged, 100}) {
		t.Errorf("got %+v, want VLAN 100 last", got)
	}
}

// TestHops: struct rtnexthop is read as long as it makes sense.
func TestHops(t *testing.T) {
	one := "\x08\x00\x00\x00\x07\x00\x00\x00"
	tests := []struct {
		name, data string
		want       int
	}{
		{"none", "", 0},
		{"two", one + one, 2},
		{"cut", one + one[:7], 1},
		{"length 0", "\x00" + one[1:] + one, 0},
		{"longer than the message", "\xff" + one[1:], 0},
		{"padded", "\x09" + one[1:] + "x\x00\x00\x00" + one, 2},
	}
	for _, tt := range tests {
		attrs := rtnl.AppendAttr(nil, unix.RTA_MULTIPATH, []byte(tt.data)...)
		if got := hops(attrs); len(got) != tt.want || tt.want > 0 && got[0] != (hop{oif: 7}) {
			t.Errorf("%s: got %v, want %d", tt.name, got, tt.want)
		}
	}
}

// vlans makes a bridge that tells VLANs apart; false where the kernel can't, which
// must be said and leave nothing.
func vlans(w world.World) bool {
	w.Helper()
	err := Bridge{Name: "br0", Vlans: true}.Add(w.Session)
	if err == nil {
		return true
	}
	const want = "bridge br0: create: operation not supported: the kernel lacks bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)"
	if !errors.Is(err, unix.EOPNOTSUPP) || !strings.HasPrefix(err.Error(), want) {
		w.Errorf("got %v, want %s", err, want)
	}
	if _, err := w.Session.Host.Link("br0"); !errors.Is(err, rtnl.ErrNoLink) {
		w.Errorf("a failed bridge is left: %v", err)
	}
	return false
}

// TestVlansCheck: the port's VLANs are as ordered, and a change is named.
func TestVlansCheck(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		if !vlans(w) {
			return
		}
		w.WantCheck(Bridge{Name: "br0", Vlans: true}, "")
		w.Add(Veth{Owner: world.Owner, IfName: "eth0", Master: "br0", MAC: world.Owner.ContainerMAC(nil)})
		name := world.Owner.LinkName()
		v := Vlans{Link: name, PVID: 100, Tagged: []VlanRange{{100, 102}, {200, 200}}}
		w.Add(v)
		w.WantCheck(v, "")
		w.Must(netlink.BridgeVlanDel(w.Link(name), 200, false, false, false, true))
		w.WantCheck(v, "link "+name+": VLANs is 100 pvid untagged, 101-102, expected 100 pvid untagged, 101-102, 200")
	})
}

// TestVlanGateway: the host's place in a VLAN, which goes with the bridge.
func TestVlanGateway(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		if !vlans(w) {
			return
		}
		g := VlanGateway{Bridge: "br0", VID: 100}
		for range 2 { // made once
			w.Add(g)
			w.WantCheck(g, "")
			w.Must(netlink.LinkSetGroup(w.Link("br0.100"), 0))
			w.WantCheck(g, "vlan gateway br0.100: group is 0, expected 25202")
		}
		w.Must(Retire(w.Session, "br0", noRules))
		w.WantCheck(g, "vlan gateway br0.100: link br0.100 is missing")
	})
}
