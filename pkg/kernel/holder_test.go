package kernel

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/test/lab"
	"github.com/vishvananda/netlink"
)

// TestHolderGone: who is gone does not block a port, and who may be there does.
func TestHolderGone(t *testing.T) {
	const gone, live = true, false
	via := func(w world, dst, dev, gateway string) {
		r := &netlink.Route{LinkIndex: w.link(dev).Attrs().Index, Dst: host(dst)}
		if gateway != "" {
			r.Dst, r.Gw, r.Flags = nil, net.ParseIP(gateway), int(netlink.FLAG_ONLINK)
		}
		w.must(netlink.RouteAdd(r))
	}
	ptp := func(w world, name, peer string) {
		w.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer}))
		for _, n := range []string{name, peer} {
			w.must(netlink.LinkSetUp(w.link(n)))
		}
	}
	tests := []struct {
		name  string
		stage func(w world)
		want  bool
	}{
		{"its link is there", func(w world) { w.add(Bridge{Name: "br0"}, someVeth()) }, live},
		{"no route to its address", func(world) {}, gone},
		{"its address is behind a gateway", func(w world) {
			ptp(w, "up0", "up1")
			via(w, "", "up0", "192.0.2.1")
		}, gone},
		{"made by another plugin, with a link of its own", func(w world) {
			ptp(w, "ptp0", "ptp1")
			via(w, "10.88.0.2", "ptp0", "")
		}, live},
		{"a bridge without ports", func(w world) {
			w.add(Bridge{Name: "br0"})
			via(w, "10.88.0.2", "br0", "")
		}, gone},
		{"a bridge with others of ours", func(w world) {
			v := someVeth()
			v.Owner.ContainerID = "c7"
			w.add(Bridge{Name: "br0"}, v)
			via(w, "10.88.0.2", "br0", "")
		}, gone},
		{"a bridge with a port of who knows", func(w world) {
			w.add(Bridge{Name: "br0"})
			ptp(w, "vethx", "vethy")
			w.must(netlink.LinkSetMaster(w.link("vethx"), w.link("br0")))
			via(w, "10.88.0.2", "br0", "")
		}, live},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w world) {
				w.must(netlink.LinkSetUp(w.link("lo")))
				tt.stage(w)
				old := testPorts()
				old.Ports = []Port{
					{Protocol: 6, HostPort: 8080, Container: netip.MustParseAddrPort("10.88.0.2:80"), Allow: &Allow{}},
					{Protocol: 6, HostPort: 8081, Container: netip.MustParseAddrPort("10.88.0.2:81")},
				}
				w.add(Rules{}, old)
				next := old
				next.Owner = Owner{"net", "c2", "eth0", ""}
				next.Ports = []Port{{Protocol: 6, HostPort: 8080, Container: netip.MustParseAddrPort("10.88.0.3:80")}}
				err := Plan{Own: []Object{next}}.Add(w.Session)
				if tt.want == live {
					if !errors.Is(err, ErrConflict) {
						t.Errorf("got %v", err)
					}
					w.wantCheck(old, "")
					return
				}
				w.must(err)
				w.wantCheck(next, "")
				rules, err := w.Rules()
				w.must(err)
				if gates, err := rules.List("anygate4"); err != nil || len(gates) != 0 {
					t.Errorf("the gate of who is gone stands before the port: %v, %v", gates, err)
				}
				// A late DEL takes the rest of the old one, and nothing of the new.
				w.must(old.Del(w.Session))
				w.wantCheck(next, "")
				if n := count(w, owner.Tag()); n != 0 {
					t.Errorf("%d elements left", n)
				}
			})
		})
	}
}

// TestHolderDying: a container that has just ended behind the runtime's back does not block
// its port, although the kernel takes its links away only later.
func TestHolderDying(t *testing.T) {
	// On a busy machine nobody may look while it is so.
	for range 5 {
		if seesDying(t) || t.Failed() {
			return
		}
	}
	t.Error("the link went before anybody could see it dying, five times")
}

func seesDying(t *testing.T) bool {
	t.Helper()
	seen := 0
	inWorld(t, func(w world) {
		box := lab.OpenSpace(t, "box")
		h, err := Open(box.NS)
		w.must(err)
		old := testPorts()
		w.must(Plan{Shared: []Object{Bridge{Name: "br0"}, Rules{}}, Own: []Object{someVeth(), old}}.Add(h))
		name := owner.LinkName()
		link, err := w.Session.Host.Link(name)
		w.must(err)
		if dying, err := w.Session.Host.Dying(link); err != nil || dying {
			t.Errorf("it lives: got %t, %v", dying, err)
		}
		w.must(h.Close())
		w.must(box.Close())
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			link, err := w.Session.Host.Link(name)
			if errors.Is(err, rtnl.ErrNoLink) {
				break
			}
			w.must(err)
			dying, err := w.Session.Host.Dying(link)
			w.must(err)
			if !dying {
				// The kernel lets go of closed sockets an RCU grace period later.
				if seen > 0 {
					t.Fatalf("%+v lives again", link)
				}
				continue
			}
			if seen++; seen > 1 {
				continue
			}
			next := old
			next.Owner = Owner{"net", "c2", "eth0", ""}
			next.Ports = []Port{{Protocol: 6, HostPort: 8080, Container: netip.MustParseAddrPort("10.88.0.3:80")}}
			w.must(Plan{Own: []Object{next}}.Add(w.Session))
			w.wantCheck(next, "")
		}
	})
	return seen > 0
}

// TestPortName: which port, as a person says it.
func TestPortName(t *testing.T) {
	to := netip.MustParseAddrPort("10.88.0.2:80")
	for host, want := range map[string]string{
		"192.0.2.1": "hostPort 192.0.2.1:8080/tcp", "0.0.0.0": "hostPort 8080/tcp",
	} {
		if got := portName(nft.HostPort(netip.MustParseAddr(host), 6, 8080, to, "")); got != want {
			t.Errorf("%s: got %s, want %s", host, got, want)
		}
	}
	six := nft.HostPort(netip.MustParseAddr("2001:db8::1"), 17, 53, netip.MustParseAddrPort("[fd00::2]:53"), "")
	if got, want := portName(six), "hostPort [2001:db8::1]:53/udp"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// host is a single address as a destination; nil of none.
func host(addr string) *net.IPNet {
	if addr == "" {
		return nil
	}
	return netlink.NewIPNet(net.ParseIP(addr))
}

func someVeth() Veth {
	return Veth{Owner: owner, IfName: "eth0", Master: "br0", MTU: 1400, MAC: owner.ContainerMAC(nil), Hairpin: true, Isolated: true}
}
