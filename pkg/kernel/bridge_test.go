package kernel

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestBridgeCheck(t *testing.T) {
	checkTampered(t, Bridge{Name: "br0", MTU: 1400, Promisc: true}, nil, []tamper{
		{"nothing", func(world) {}, ""},
		{"removed", func(w world) { w.must(netlink.LinkDel(w.link("br0"))) }, "bridge br0: link br0 is missing"},
		{"down", func(w world) { w.must(netlink.LinkSetDown(w.link("br0"))) }, "bridge br0: state is down, expected up"},
		{"mtu", func(w world) { w.must(netlink.LinkSetMTU(w.link("br0"), 1300)) }, "bridge br0: mtu is 1300, expected 1400"},
		{"promiscuous", func(w world) { w.must(netlink.SetPromiscOff(w.link("br0"))) }, "bridge br0: promiscuous mode is false, expected true"},
		{"another kind", func(w world) {
			w.must(netlink.LinkDel(w.link("br0")))
			w.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "br0", MTU: 1400}, PeerName: "x"}))
		}, "bridge br0: kind is veth, expected bridge, state is down, expected up, promiscuous mode is false, expected true"},
	})
}

// TestBridgeAgain: the next ADD brings a bridge of ours back to what it should be.
func TestBridgeAgain(t *testing.T) {
	inWorld(t, func(w world) {
		b := Bridge{Name: "br0", MTU: 1400, Promisc: true}
		w.add(b)
		mac := w.link("br0").Attrs().HardwareAddr.String()
		w.must(netlink.LinkSetMTU(w.link("br0"), 1300))
		w.must(netlink.SetPromiscOff(w.link("br0")))
		w.must(netlink.LinkSetDown(w.link("br0")))
		w.add(b)
		w.wantCheck(b, "")
		if got := w.link("br0").Attrs(); got.HardwareAddr.String() != mac || got.Alias != "bridgeport" {
			t.Errorf("got %s %q, want %s", got.HardwareAddr, got.Alias, mac)
		}
		ra := Sysctl{Key: "net/ipv6/conf/br0/accept_ra", Value: "0", Optional: true}
		w.wantCheck(ra, "sysctl: net.ipv6.conf.br0.accept_ra is 1, expected 0")
		w.add(ra)
		w.wantCheck(ra, "")
		facts, err := Bridge{Name: "br0"}.Facts(w.Session)
		if err != nil || facts.MAC.String() != mac || facts.MTU != 1400 {
			t.Errorf("facts: got %+v, %v", facts, err)
		}
	})
}

// TestBridgeFacts: before a bridge exists, its address is known already.
func TestBridgeFacts(t *testing.T) {
	inWorld(t, func(w world) {
		for _, b := range []Bridge{{Name: "br0"}, {Name: "br1", MTU: 9000}} {
			before, err := b.Facts(w.Session)
			w.must(err)
			w.add(b)
			after, err := b.Facts(w.Session)
			if err != nil || before.MTU != after.MTU || before.MAC.String() != after.MAC.String() {
				t.Errorf("said %+v, made %+v, %v", before, after, err)
			}
		}
	})
}

// TestBridgeForeign: a bridge that we did not make is used, not changed.
func TestBridgeForeign(t *testing.T) {
	inWorld(t, func(w world) {
		w.must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0", MTU: 1300}}))
		b := Bridge{Name: "br0", MTU: 1400}
		w.must(b.create(w.Session)) // as if it was not there a moment ago
		w.add(b)
		if got := w.link("br0").Attrs(); got.MTU != 1300 || got.Alias != "" || got.Flags&1 == 0 {
			t.Errorf("got mtu %d, alias %q, flags %s, want it up and otherwise as it was", got.MTU, got.Alias, got.Flags)
		}
		w.wantCheck(b, "")
		if facts, err := b.Facts(w.Session); err != nil || facts.MTU != 1300 {
			t.Errorf("facts: got %+v, %v", facts, err)
		}
		err := Bridge{Name: "br0", Vlans: true}.Add(w.Session)
		if !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "ip link set br0 type bridge vlan_filtering 1") {
			t.Errorf("vlans: got %v", err)
		}
		w.must(RetireBridge(w.Session, "br0"))
		w.link("br0")
	})
}

func TestBridgeConflict(t *testing.T) {
	inWorld(t, func(w world) {
		w.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, PeerName: "x"}))
		const veth = `bridge br0: a link of this name exists and is not a bridge but a veth: name another in "bridge": conflict`
		if err := (Bridge{Name: "br0"}).Add(w.Session); err == nil || !errors.Is(err, ErrConflict) || err.Error() != veth {
			t.Errorf("got %v", err)
		}
		const lo = `bridge lo: a link of this name exists and is not a bridge but a device: name another in "bridge": conflict`
		if err := (Bridge{Name: "lo"}).Add(w.Session); err == nil || err.Error() != lo {
			t.Errorf("got %v", err)
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
		checkTampered(t, gateway(text, false), []Object{Bridge{Name: "br0"}}, []tamper{
			{"nothing", func(world) {}, ""},
			{"removed", func(w world) {
				addr, err := netlink.ParseAddr(text)
				w.must(err)
				w.must(netlink.AddrDel(w.link("br0"), addr))
			}, "link br0: gateway address " + text + " is missing"},
			{"bridge removed", func(w world) { w.must(netlink.LinkDel(w.link("br0"))); w.forgetLinks() }, ""},
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
		{"somebody's, forced", true, false, "10.2.0.1/24", gateway("10.1.0.1/24", true), "10.1.0.1/24"},
		{"somebody's, IPv6 overlaps", true, false, "fd00::9/60", gateway("fd00::1/64", false), `link br0: has address fd00::9/60, but the gateway is to be fd00::1/64: use another bridge, delete that address, or set "forceAddress": true: conflict`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w world) {
				if tt.foreign {
					w.must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
				}
				w.add(Bridge{Name: "br0"})
				if tt.ports {
					w.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "p", MasterIndex: w.link("br0").Attrs().Index}, PeerName: "x"}))
				}
				for _, text := range strings.Fields(tt.have) {
					addr, err := netlink.ParseAddr(text)
					w.must(err)
					w.must(netlink.AddrAdd(w.link("br0"), addr))
				}
				if err := (Plan{Shared: []Object{tt.gateway}}).Add(w.Session); err != nil {
					if err.Error() != tt.want || !errors.Is(err, ErrConflict) {
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
