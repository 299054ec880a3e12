package kernel

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestSysctlCheck(t *testing.T) {
	key := "net/ipv4/conf/lo/arp_notify"
	set := func(value string) func(w world) { return func(w world) { w.must(sysctlDirs(nil).write(key, value)) } }
	checkTampered(t, Sysctl{Key: key, Value: "1"}, nil, []tamper{
		{"nothing", func(world) {}, ""},
		{"changed", set("0"), "sysctl: net.ipv4.conf.lo.arp_notify is 0, expected 1"},
	})
	checkTampered(t, Inside{{Key: key, Value: "1"}}, nil, []tamper{
		{"the host's is another", set("0"), ""},
		{"changed", func(w world) { w.must(w.cont.SetSysctl(key, "0")) }, "container: sysctl: net.ipv4.conf.lo.arp_notify is 0, expected 1"},
	})
}

func TestSysctlErrors(t *testing.T) {
	inWorld(t, func(w world) {
		none := Sysctl{Key: "net/ipv4/conf/none/arp_notify", Value: "1"}
		if err := none.Add(w.Session); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "sysctl net.ipv4.conf.none.arp_notify: ") {
			t.Errorf("missing: got %v", err)
		}
		none.Optional = true
		w.add(none)
		w.wantCheck(none, "")
		none.Key = "net/ipv4/conf/lo/none"
		if err := none.Add(w.Session); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("missing among those of the link: got %v", err)
		}
		if err := (Sysctl{Key: "net/ipv4/ip_forward", Value: "x"}).Add(w.Session); !errors.Is(err, unix.EINVAL) || !strings.HasPrefix(err.Error(), "sysctl net.ipv4.ip_forward: write x: ") {
			t.Errorf("wrong value: got %v", err)
		}
		// Some values the kernel changes without a word.
		if err := (Sysctl{Key: "net/ipv4/conf/lo/arp_notify", Value: "01"}).Add(w.Session); err == nil || err.Error() != "sysctl net.ipv4.conf.lo.arp_notify: wrote 01, but it reads 1" {
			t.Errorf("got %v", err)
		}
	})
}

// TestNoIPv6: what is to be done for IPv6 is done when there is none.
func TestNoIPv6(t *testing.T) {
	inWorld(t, func(w world) {
		w.must(unix.Mount("hidden", "/proc/sys/net/ipv6", "tmpfs", 0, ""))
		defer func() { w.must(unix.Unmount("/proc/sys/net/ipv6", unix.MNT_DETACH)) }()
		none := Sysctl{Key: "net/ipv6/conf/lo/disable_ipv6", Value: "1", Optional: true}
		w.add(none)
		w.wantCheck(none, "")
		none.Optional = false
		if err := none.Add(w.Session); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

// TestInsideOwnProc: what is set in the container does not go through the /proc that
// everybody shares, whether it can be used or not.
func TestInsideOwnProc(t *testing.T) {
	inWorld(t, func(w world) {
		w.must(unix.Mount("hidden", "/proc/sys/net", "tmpfs", 0, ""))
		in := Inside{{Key: "net/ipv4/conf/lo/arp_notify", Value: "1"}, {Key: "net/ipv6/conf/lo/none", Value: "1", Optional: true}}
		err := in.Add(w.Session)
		w.must(unix.Unmount("/proc/sys/net", unix.MNT_DETACH))
		if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "container: sysctl net.ipv6.conf.lo.none: ") {
			t.Errorf("missing among those of the link: got %v", err)
		}
		w.wantCheck(in[:1], "")
	})
}

// TestNoContainer: without its namespace, what is inside can't be touched, and that
// is said.
func TestNoContainer(t *testing.T) {
	inWorld(t, func(w world) {
		h, err := Open(nil)
		w.must(err)
		defer h.Close()
		if err := (Inside{{Key: "net/ipv4/ip_forward", Value: "1"}}).Add(h); err == nil || err.Error() != "container: no such network namespace" {
			t.Errorf("got %v", err)
		}
	})
}

// TestForwarding: the host becomes a router, and is none again when the last bridge
// of ours that asked for it goes.
func TestForwarding(t *testing.T) {
	for key, ipv6 := range map[string]bool{forward4: false, forward6: true} {
		inWorld(t, func(w world) {
			w.must(sysctlDirs(nil).write(key, "0"))
			want := func(value string) {
				t.Helper()
				if got, err := sysctlDirs(nil).read(key); err != nil || got != value {
					t.Errorf("%s: got %s, %v, want %s", key, got, err, value)
				}
			}
			f := Forwarding{Bridge: "br0", IPv6: ipv6}
			w.add(Bridge{Name: "br0"}, f, Bridge{Name: "br1"}, Forwarding{Bridge: "br1", IPv6: ipv6})
			w.wantCheck(f, "")
			if got := w.link("br0").Attrs().Alias; got != "bridgeport was-0:"+key {
				t.Errorf("br0: alias %q", got)
			}
			w.must(sysctlDirs(nil).write(key, "0"))
			w.wantCheck(f, "sysctl: "+dotted(key)+" is 0, expected 1")
			w.add(f)
			want("1")
			w.must(RetireBridge(w.Session, "br0"))
			want("1") // br1 needs it still
			if got := w.link("br1").Attrs().Alias; got != "bridgeport was-0:"+key {
				t.Errorf("br1: alias %q", got)
			}
			w.must(RetireBridge(w.Session, "br1"))
			want("0")
		})
	}
}

// TestForwardingBefore: a router stays one.
func TestForwardingBefore(t *testing.T) {
	inWorld(t, func(w world) {
		w.must(sysctlDirs(nil).write(forward4, "1"))
		w.add(Bridge{Name: "br0"}, Forwarding{Bridge: "br0"})
		w.must(RetireBridge(w.Session, "br0"))
		if got, err := sysctlDirs(nil).read(forward4); err != nil || got != "1" {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

// TestForwardingForeign: a container on somebody else's bridge goes on.
func TestForwardingForeign(t *testing.T) {
	inWorld(t, func(w world) {
		w.foreignBridge("br1")
		veth := testVeth()
		veth.Master, veth.Isolated = "br1", false
		w.add(Bridge{Name: "br0"}, Forwarding{Bridge: "br0"}, Bridge{Name: "br1"}, veth)
		w.must(RetireBridge(w.Session, "br0"))
		if got, err := sysctlDirs(nil).read(forward4); err != nil || got != "1" {
			t.Errorf("got %s, %v", got, err)
		}
	})
}

// TestInherited: a veth that another plugin made goes, one of ours stays: its name and
// its address may be another container's by now.
func TestInherited(t *testing.T) {
	for _, alias := range []string{"", "482c2e79-00000000000 net/c9/eth0"} {
		inWorld(t, func(w world) {
			w.must(netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: "theirs"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(w.cont.NS.Fd()),
			}))
			if alias != "" {
				w.must(netlink.LinkSetAlias(w.link("theirs"), alias))
			}
			addr, err := netlink.ParseAddr("10.88.0.2/16")
			w.must(err)
			w.inside("eth0", func(l netlink.Link) error { return netlink.AddrAdd(l, addr) })
			w.must(ReferenceLink{IfName: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/16")}}.Del(w.Session))
			_, err = w.Session.Host.Link("theirs")
			if gone := errors.Is(err, rtnl.ErrNoLink); gone != (alias == "") {
				t.Errorf("alias %q: gone %t, %v", alias, gone, err)
			}
		})
	}
}

// TestRetireBridge: only a bridge of ours that nothing is plugged into.
func TestRetireBridge(t *testing.T) {
	tests := []struct {
		name string
		make func(w world)
		gone bool
	}{
		{"ours", func(w world) { w.add(Bridge{Name: "br0"}) }, true},
		{"none", func(world) {}, true},
		{"with a port", func(w world) { w.add(Bridge{Name: "br0"}, testVeth()) }, false},
		{"somebody's", func(w world) {
			w.must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
		}, false},
		{"no bridge, but our alias", func(w world) {
			w.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, PeerName: "x"}))
			w.must(netlink.LinkSetAlias(w.link("br0"), bridgeAlias))
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w world) {
				tt.make(w)
				w.must(RetireBridge(w.Session, "br0"))
				if _, err := w.Session.Host.Link("br0"); errors.Is(err, rtnl.ErrNoLink) != tt.gone {
					t.Errorf("got %v, gone wanted: %t", err, tt.gone)
				}
			})
		})
	}
}

// TestRollback: a plan that fails at its end leaves nothing of its own.
func TestRollback(t *testing.T) {
	inWorld(t, func(w world) {
		p := Plan{
			Shared: []Object{Bridge{Name: "br0"}, Rules{}},
			Own: []Object{
				testVeth(),
				FrameRules{},
				SpoofCheck{Owner: owner, MAC: owner.ContainerMAC(nil)},
				Addr{"eth0", netip.MustParsePrefix("10.88.0.2/16")},
				LinkUp{"eth0"},
				testPorts(), testMasquerade(),
				Route{IfName: "eth0", Dst: netip.MustParsePrefix("10.9.0.0/16"), Gw: netip.MustParseAddr("192.0.2.1")},
			},
		}
		if err := p.Add(w.Session); !errors.Is(err, unix.ENETUNREACH) {
			t.Errorf("got %v", err)
		}
		if tags, err := Owners(w.Session, "net", Everything); err != nil || len(tags) != 0 {
			t.Errorf("left: %v, %v", tags, err)
		}
		if tags, err := Owners(w.Session, "net", PortsOnly); err != nil || len(tags) != 0 {
			t.Errorf("left: %v, %v", tags, err)
		}
		w.must(w.Vacant(owner))
		w.must(RetireBridge(w.Session, "br0"))
	})
}
