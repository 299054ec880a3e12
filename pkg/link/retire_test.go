package link

import (
	"errors"
	"testing"

	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
)

// TestForwarding: the host becomes a router, and is none again when the last bridge
// of ours that asked for it goes.
func TestForwarding(t *testing.T) {
	for key, ipv6 := range map[string]bool{forward4: false, forward6: true} {
		world.InWorld(t, func(w world.World) {
			w.Must(netns.Sysctls(nil).Write(key, "0"))
			want := func(value string) {
				t.Helper()
				if got, err := netns.Sysctls(nil).Read(key); err != nil || got != value {
					t.Errorf("%s: got %s, %v, want %s", key, got, err, value)
				}
			}
			f := Forwarding{Bridge: "br0", IPv6: ipv6}
			w.Add(Bridge{Name: "br0"}, f, Bridge{Name: "br1"}, Forwarding{Bridge: "br1", IPv6: ipv6})
			w.WantCheck(f, "")
			if got := w.Link("br0").Attrs().Alias; got != "bridgeport was-0:"+key {
				t.Errorf("br0: alias %q", got)
			}
			w.Must(netns.Sysctls(nil).Write(key, "0"))
			w.WantCheck(f, "sysctl: "+netns.Dotted(key)+" is 0, expected 1")
			w.Add(f)
			want("1")
			w.Must(Retire(w.Session, "br0", noRules))
			want("1") // br1 needs it still
			if got := w.Link("br1").Attrs().Alias; got != "bridgeport was-0:"+key {
				t.Errorf("br1: alias %q", got)
			}
			w.Must(Retire(w.Session, "br1", noRules))
			want("0")
		})
	}
}

// TestForwardingBefore: a router stays one.
func TestForwardingBefore(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Must(netns.Sysctls(nil).Write(forward4, "1"))
		w.Add(Bridge{Name: "br0"}, Forwarding{Bridge: "br0"})
		w.Must(Retire(w.Session, "br0", noRules))
		if got, err := netns.Sysctls(nil).Read(forward4); err != nil || got != "1" {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

// TestForwardingForeign: a container on somebody else's bridge goes on, ours or not.
func TestForwardingForeign(t *testing.T) {
	for name, plug := range map[string]func(w world.World){
		"ours": func(w world.World) {
			veth := testVeth()
			veth.Master, veth.Isolated = "br1", false
			w.Add(Bridge{Name: "br1"}, veth)
		},
		"somebody's": func(w world.World) {
			w.Must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "vnet0"}, PeerName: "vnet1"}))
			w.Must(netlink.LinkSetMaster(w.Link("vnet0"), w.Link("br1")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				w.ForeignBridge("br1")
				plug(w)
				w.Add(Bridge{Name: "br0"}, Forwarding{Bridge: "br0"})
				w.Must(Retire(w.Session, "br0", noRules))
				if got, err := netns.Sysctls(nil).Read(forward4); err != nil || got != "1" {
					t.Errorf("got %s, %v", got, err)
				}
			})
		})
	}
}

// TestRetireBridge: only a bridge of ours that nothing is plugged into.
func TestRetireBridge(t *testing.T) {
	tests := []struct {
		name string
		make func(w world.World)
		gone bool
	}{
		{"ours", func(w world.World) { w.Add(Bridge{Name: "br0"}) }, true},
		{"none", func(world.World) {}, true},
		{"with a port", func(w world.World) { w.Add(Bridge{Name: "br0"}, testVeth()) }, false},
		{"somebody's", func(w world.World) {
			w.Must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
		}, false},
		{"no bridge, but our alias", func(w world.World) {
			w.Must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, PeerName: "x"}))
			w.Must(netlink.LinkSetAlias(w.Link("br0"), bridgeAlias))
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				tt.make(w)
				w.Must(Retire(w.Session, "br0", noRules))
				if _, err := w.Session.Host.Link("br0"); errors.Is(err, rtnl.ErrNoLink) != tt.gone {
					t.Errorf("got %v, gone wanted: %t", err, tt.gone)
				}
			})
		})
	}
}

func noRules() error { return nil }
