package link

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
)

func TestBridgeCheck(t *testing.T) {
	world.CheckTampered(t, Bridge{Name: "br0", MTU: 1400, Promisc: true, Gateway: true}, nil, []world.Tamper{
		{Name: "group", Change: func(w world.World) { w.Must(netlink.LinkSetGroup(w.Link("br0"), 7)) }, Want: "bridge br0: group is 7, expected 25202"},
		{Name: "nothing", Change: func(world.World) {}, Want: ""},
		{Name: "removed", Change: func(w world.World) { w.Must(netlink.LinkDel(w.Link("br0"))) }, Want: "bridge br0: link br0 is missing"},
		{Name: "down", Change: func(w world.World) { w.Must(netlink.LinkSetDown(w.Link("br0"))) }, Want: "bridge br0: state is down, expected up"},
		{Name: "mtu", Change: func(w world.World) { w.Must(netlink.LinkSetMTU(w.Link("br0"), 1300)) }, Want: "bridge br0: mtu is 1300, expected 1400"},
		{Name: "promiscuous", Change: func(w world.World) { w.Must(netlink.SetPromiscOff(w.Link("br0"))) }, Want: "bridge br0: promiscuous mode is false, expected true"},
		{Name: "another kind", Change: func(w world.World) {
			w.Must(netlink.LinkDel(w.Link("br0")))
			w.Must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "br0", MTU: 1400}, PeerName: "x"}))
		}, Want: "bridge br0: kind is veth, expected bridge, state is down, expected up, promiscuous mode is false, expected true"},
	})
}

// TestBridgeAgain: the next ADD brings a bridge of ours back to what it should be.
func TestBridgeAgain(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		b := Bridge{Name: "br0", MTU: 1400, Promisc: true, Gateway: true}
		w.Add(b)
		mac := w.Link("br0").Attrs().HardwareAddr.String()
		w.Must(netlink.LinkSetMTU(w.Link("br0"), 1300))
		w.Must(netlink.SetPromiscOff(w.Link("br0")))
		w.Must(netlink.LinkSetDown(w.Link("br0")))
		w.Must(netlink.LinkSetGroup(w.Link("br0"), 0))
		w.Add(b)
		w.WantCheck(b, "")
		if got := w.Link("br0").Attrs(); got.HardwareAddr.String() != mac || got.Alias != "bridgeport" {
			t.Errorf("got %s %q, want %s", got.HardwareAddr, got.Alias, mac)
		}
		ra := Sysctl{Key: "net/ipv6/conf/br0/accept_ra", Value: "0", Optional: true}
		w.WantCheck(ra, "sysctl: net.ipv6.conf.br0.accept_ra is 1, expected 0")
		w.Add(ra)
		w.WantCheck(ra, "")
		facts, err := Bridge{Name: "br0"}.Facts(w.Session)
		if err != nil || facts.MAC.String() != mac || facts.MTU != 1400 {
			t.Errorf("facts: got %+v, %v", facts, err)
		}
	})
}

// TestBridgeFacts: before a bridge exists, its address is known already.
func TestBridgeFacts(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		for _, b := range []Bridge{{Name: "br0"}, {Name: "br1", MTU: 9000}} {
			before, err := b.Facts(w.Session)
			w.Must(err)
			w.Add(b)
			after, err := b.Facts(w.Session)
			if err != nil || before.MTU != after.MTU || before.MAC.String() != after.MAC.String() {
				t.Errorf("said %+v, made %+v, %v", before, after, err)
			}
		}
	})
}

// TestBridgeForeign: a bridge that we did not make is used, not changed.
func TestBridgeForeign(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0", MTU: 1300}}))
		b := Bridge{Name: "br0", MTU: 1400}
		w.Must(b.create(w.Session)) // as if it was not there a moment ago
		w.Add(b)
		if got := w.Link("br0").Attrs(); got.MTU != 1300 || got.Alias != "" || got.Flags&1 == 0 {
			t.Errorf("got mtu %d, alias %q, flags %s, want it up and otherwise as it was", got.MTU, got.Alias, got.Flags)
		}
		w.WantCheck(b, "")
		if facts, err := b.Facts(w.Session); err != nil || facts.MTU != 1300 {
			t.Errorf("facts: got %+v, %v", facts, err)
		}
		err := Bridge{Name: "br0", Vlans: true}.Add(w.Session)
		if !errors.Is(err, plan.ErrConflict) || !strings.Contains(err.Error(), "ip link set br0 type bridge vlan_filtering 1") {
			t.Errorf("vlans: got %v", err)
		}
		w.Must(Retire(w.Session, "br0", noRules))
		w.Link("br0")
	})
}

func TestBridgeConflict(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, PeerName: "x"}))
		const veth = `bridge br0: a link of this name exists and is not a bridge but a veth: name another in "bridge": conflict`
		if err := (Bridge{Name: "br0"}).Add(w.Session); err == nil || !errors.Is(err, plan.ErrConflict) || err.Error() != veth {
			t.Errorf("got %v", err)
		}
		const lo = `bridge lo: a link of this name exists and is not a bridge but a device: name another in "bridge": conflict`
		if err := (Bridge{Name: "lo"}).Add(w.Session); err == nil || err.Error() != lo {
			t.Errorf("got %v", err)
		}
	})
}

// TestAltName: a link has one name, however it is called.
func TestAltName(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.ForeignBridge("br0")
		w.Must(netlink.LinkAddAltName(w.Link("br0"), "longname"))
		f, err := Bridge{Name: "longname"}.Facts(w.Session)
		if real := RealName(w.Session, "longname"); err != nil || f.Name != "br0" || real != "br0" {
			t.Errorf("got %s, %s, %v", f.Name, real, err)
		}
		if f, err = (Bridge{Name: "br9"}).Facts(w.Session); err != nil || f.Name != "br9" || RealName(w.Session, "br9") != "br9" {
			t.Errorf("got %s, %v", f.Name, err)
		}
	})
}

func gateway(text string, force bool, also ...string) Gateway {
	g := Gateway{Link: "br0", Prefix: netip.MustParsePrefix(text), Force: force}
	for _, a := range also {
		g.Also = append(g.Also, netip.MustParsePrefix(a))
	}
	return g
}

func TestGatewayCheck(t *testing.T) {
	for _, text := range []string{"10.88.0.1/16", "fd00::1/64"} {
		world.CheckTampered(t, gateway(text, false), []plan.Object{Bridge{Name: "br0"}}, []world.Tamper{
			{Name: "nothing", Change: func(world.World) {}, Want: ""},
			{Name: "removed", Change: func(w world.World) {
				addr, err := netlink.ParseAddr(text)
				w.Must(err)
				w.Must(netlink.AddrDel(w.Link("br0"), addr))
			}, Want: "link br0: gateway address " + text + " is missing"},
			{Name: "bridge removed", Change: func(w world.World) { w.Must(netlink.LinkDel(w.Link("br0"))); w.ForgetLinks() }, Want: ""},
		})
	}
}

// leased is a gateway that is told in turn whether there is a lease; the last answer stays.
func leased(text string, answers ...bool) Gateway {
	g := gateway(text, false)
	g.InUse = func(netip.Prefix) (bool, error) {
		now := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		return now, nil
	}
	return g
}

// TestDropGateways: an address goes only if its subnet is not in use, neither before nor afterwards.
func TestDropGateways(t *testing.T) {
	tests := []struct {
		name    string
		answers []bool // in use; the last one stays
		want    string
	}{
		{"no lease", []bool{false}, "fd00::1/64"},
		{"a lease", []bool{true}, "10.1.0.1/24 fd00::1/64"},
		{"a lease comes meanwhile", []bool{false, true}, "10.1.0.1/24 fd00::1/64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				w.Add(Bridge{Name: "br0"}, gateway("10.1.0.1/24", false), gateway("fd00::1/64", false))
				w.Must(DropGateways(w.Session, "br0", func(p netip.Prefix) bool { return p.Addr().Is4() }, leased("10.1.0.1/24", tt.answers...).InUse))
				if got := addresses(w, "br0"); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// TestGatewayRoom: which addresses of a bridge give way to the gateway's.
func TestGatewayRoom(t *testing.T) {
	tests := []struct {
		name    string
		foreign bool // somebody else's bridge
		ports   bool
		have    string
		gateway Gateway
		want    string // addresses, or the error
	}{
		{"the same", false, false, "10.1.0.1/24", gateway("10.1.0.1/24", false), "10.1.0.1/24"},
		{"IPv6 elsewhere", true, false, "fd01::1/64", gateway("fd00::1/64", false), "fd00::1/64 fd01::1/64"},
		{"the other family", true, false, "fd00::1/64", gateway("10.1.0.1/24", false), "10.1.0.1/24 fd00::1/64"},
		{"ours, unused", false, false, "10.2.0.1/24", gateway("10.1.0.1/24", false), "10.1.0.1/24 10.2.0.1/24"},
		{"ours, in use", false, true, "10.2.0.1/24", gateway("10.1.0.1/24", false), "10.1.0.1/24 10.2.0.1/24"},
		{"ours, of the same network", false, false, "10.2.0.1/24", gateway("10.1.0.1/24", false, "10.2.0.1/24"), "10.1.0.1/24 10.2.0.1/24"},
		{"ours, in use, forced", false, true, "10.2.0.1/24", gateway("10.1.0.1/24", true), "10.1.0.1/24"},
		{"ours, no lease", false, false, "10.2.0.1/24", leased("10.1.0.1/24", false), "10.1.0.1/24"},
		{"ours, a lease", false, false, "10.2.0.1/24", leased("10.1.0.1/24", true), "10.1.0.1/24 10.2.0.1/24"},
		{"ours, a lease comes meanwhile", false, false, "10.2.0.1/24", leased("10.1.0.1/24", false, true), "10.1.0.1/24 10.2.0.1/24"},
		{"ours, no lease, a port", false, true, "10.2.0.1/24", leased("10.1.0.1/24", false), "10.1.0.1/24 10.2.0.1/24"},
		{"in one subnet, no lease", false, false, "10.1.0.254/24 10.1.0.1/24", leased("10.1.0.1/24", false), "10.1.0.1/24"},
		{"in one subnet, forced", false, false, "10.1.0.254/24 10.1.0.1/24", gateway("10.1.0.1/24", true), "10.1.0.1/24"},
		{"somebody's", true, false, "10.2.0.1/24", gateway("10.1.0.1/24", false), `link br0: has address 10.2.0.1/24, but the gateway is to be 10.1.0.1/24: use another bridge, delete that address, or set "forceAddress": true: conflict`},
		{"somebody's, 169.254", true, false, "169.254.2.1/24", gateway("169.254.1.1/24", false), `link br0: has address 169.254.2.1/24, but the gateway is to be 169.254.1.1/24: use another bridge, delete that address, or set "forceAddress": true: conflict`},
		{"somebody's, 169.254, forced", true, false, "169.254.2.1/24", gateway("169.254.1.1/24", true), "169.254.1.1/24"},
		{"somebody's, forced", true, false, "10.2.0.1/24", gateway("10.1.0.1/24", true), "10.1.0.1/24"},
		{"somebody's, IPv6 overlaps", true, false, "fd00::9/60", gateway("fd00::1/64", false), `link br0: has address fd00::9/60, but the gateway is to be fd00::1/64: use another bridge, delete that address, or set "forceAddress": true: conflict`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				if tt.foreign {
					w.Must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
				}
				w.Add(Bridge{Name: "br0"})
				if tt.ports {
					w.Must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "p", MasterIndex: w.Link("br0").Attrs().Index}, PeerName: "x"}))
				}
				for _, text := range strings.Fields(tt.have) {
					addr, err := netlink.ParseAddr(text)
					w.Must(err)
					w.Must(netlink.AddrAdd(w.Link("br0"), addr))
				}
				if err := (plan.Plan{Shared: []plan.Object{tt.gateway}}).Add(w.Session); err != nil {
					if err.Error() != tt.want || !errors.Is(err, plan.ErrConflict) {
						t.Errorf("got %v, want %s", err, tt.want)
					}
					return
				}
				if got := addresses(w, "br0"); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
}
