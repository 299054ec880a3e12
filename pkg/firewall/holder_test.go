package firewall

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
)

// TestHolderGone: who is gone does not block a port, and who may be there does.
func TestHolderGone(t *testing.T) {
	const gone, live = true, false
	via := func(w world.World, dst, dev, gateway string) {
		r := &netlink.Route{LinkIndex: w.Link(dev).Attrs().Index, Dst: host(dst)}
		if gateway != "" {
			r.Dst, r.Gw, r.Flags = nil, net.ParseIP(gateway), int(netlink.FLAG_ONLINK)
		}
		w.Must(netlink.RouteAdd(r))
	}
	ptp := func(w world.World, name, peer string) {
		w.Must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer}))
		for _, n := range []string{name, peer} {
			w.Must(netlink.LinkSetUp(w.Link(n)))
		}
	}
	tests := []struct {
		name  string
		stage func(w world.World)
		want  bool
	}{
		{"its link is there", func(w world.World) { w.Add(link.Bridge{Name: "br0"}, someVeth()) }, live},
		{"no route to its address", func(world.World) {}, live},
		{"its address is behind a gateway, as Cilium's", func(w world.World) {
			ptp(w, "up0", "up1")
			via(w, "", "up0", "192.0.2.1")
		}, live},
		{"no route, but bridge masqueraded it", func(w world.World) {
			w.Add(Rules{}, testMasquerade())
		}, gone},
		{"bridge masqueraded it, and its link is there under another name", func(w world.World) {
			w.Add(link.Bridge{Name: "br0"}, someVeth(), Rules{}, testMasquerade())
			l := w.Link(world.Owner.LinkName())
			w.Must(errors.Join(netlink.LinkSetDown(l), netlink.LinkSetName(l, "renamed"), netlink.LinkSetUp(l)))
		}, live},
		{"a gateway, but bridge checked its frames", func(w world.World) {
			ptp(w, "up0", "up1")
			via(w, "", "up0", "192.0.2.1")
			w.Add(FrameRules{}, SpoofCheck{Owner: world.Owner, MAC: world.Owner.ContainerMAC(nil)})
		}, gone},
		{"made by another plugin, with a link of its own", func(w world.World) {
			ptp(w, "ptp0", "ptp1")
			via(w, "10.88.0.2", "ptp0", "")
		}, live},
		{"a bridge without ports", func(w world.World) {
			w.Add(link.Bridge{Name: "br0"})
			via(w, "10.88.0.2", "br0", "")
		}, gone},
		{"a bridge with others of ours", func(w world.World) {
			v := someVeth()
			v.Owner.ContainerID = "c7"
			w.Add(link.Bridge{Name: "br0"}, v)
			via(w, "10.88.0.2", "br0", "")
		}, gone},
		{"a bridge with a port of who knows", func(w world.World) {
			w.Add(link.Bridge{Name: "br0"})
			ptp(w, "vethx", "vethy")
			w.Must(netlink.LinkSetMaster(w.Link("vethx"), w.Link("br0")))
			via(w, "10.88.0.2", "br0", "")
		}, live},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				w.Must(netlink.LinkSetUp(w.Link("lo")))
				tt.stage(w)
				old := testPorts()
				old.Ports = []hostport.Mapping{
					{Protocol: 6, HostPort: 8080, Container: netip.MustParseAddrPort("10.88.0.2:80"), Allow: &hostport.Allow{}},
					{Protocol: 6, HostPort: 8081, Container: netip.MustParseAddrPort("10.88.0.2:81")},
				}
				w.Add(Rules{}, old)
				next := old
				next.Owner = plan.Owner{Network: "net", ContainerID: "c2", IfName: "eth0", Pod: ""}
				next.Ports = []hostport.Mapping{{Protocol: 6, HostPort: 8080, Container: netip.MustParseAddrPort("10.88.0.3:80")}}
				err := plan.Plan{Own: []plan.Object{next}}.Add(w.Session)
				if tt.want == live {
					if !errors.Is(err, plan.ErrConflict) {
						t.Errorf("got %v", err)
					}
					w.WantCheck(old, "")
					return
				}
				w.Must(err)
				w.WantCheck(next, "")
				rules, err := w.Rules()
				w.Must(err)
				if gates, err := rules.List("anygate4"); err != nil || len(gates) != 0 {
					t.Errorf("the gate of who is gone stands before the port: %v, %v", gates, err)
				}
				// A late DEL takes the rest of the old one, and nothing of the new.
				w.Must(old.Del(w.Session))
				w.Must(plan.Delete(w.Session, Masquerade{Owner: world.Owner}, SpoofCheck{Owner: world.Owner}))
				w.WantCheck(next, "")
				if n := count(w, world.Owner.Tag()); n != 0 {
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
	world.InWorld(t, func(w world.World) {
		box := stage.OpenSpace(t, "box")
		h, err := plan.Open(box.NS)
		w.Must(err)
		old := testPorts()
		w.Must(plan.Plan{Shared: []plan.Object{link.Bridge{Name: "br0"}, Rules{}}, Own: []plan.Object{someVeth(), old}}.Add(h))
		name := world.Owner.LinkName()
		link, err := w.Session.Host.Link(name)
		w.Must(err)
		if dying, err := w.Session.Host.Dying(link); err != nil || dying {
			t.Errorf("it lives: got %t, %v", dying, err)
		}
		w.Must(h.Close())
		w.Must(box.Close())
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			link, err := w.Session.Host.Link(name)
			if errors.Is(err, rtnl.ErrNoLink) {
				break
			}
			w.Must(err)
			dying, err := w.Session.Host.Dying(link)
			w.Must(err)
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
			next.Owner = plan.Owner{Network: "net", ContainerID: "c2", IfName: "eth0", Pod: ""}
			next.Ports = []hostport.Mapping{{Protocol: 6, HostPort: 8080, Container: netip.MustParseAddrPort("10.88.0.3:80")}}
			w.Must(plan.Plan{Own: []plan.Object{next}}.Add(w.Session))
			w.WantCheck(next, "")
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

func someVeth() link.Veth {
	return link.Veth{Owner: world.Owner, IfName: "eth0", Master: "br0", MTU: 1400, MAC: world.Owner.ContainerMAC(nil), Hairpin: true, Isolated: true}
}
