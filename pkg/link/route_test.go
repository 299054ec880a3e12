package link

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestRouteCheck(t *testing.T) {
	before := []plan.Object{
		Bridge{Name: "br0"},
		testVeth(),
		Inside{{Key: "net/ipv6/conf/eth0/accept_dad", Value: "0"}},
		Addr{"eth0", netip.MustParsePrefix("10.88.0.2/16")},
		LinkUp{"eth0"},
		Addr{"eth0", netip.MustParsePrefix("fd00::2/64")},
	}
	dst, gw := netip.MustParsePrefix, netip.MustParseAddr
	tests := []struct {
		name string
		in   Route
		text string
	}{
		{"default", Route{Dst: dst("0.0.0.0/0"), Gw: gw("10.88.0.1")}, "default via 10.88.0.1"},
		{"default, IPv6", Route{Dst: dst("::/0"), Gw: gw("fd00::1")}, ""},
		{"on the link", Route{Dst: dst("10.9.0.0/16")}, "10.9.0.0/16"},
		{"on the link, IPv6", Route{Dst: dst("fd01::/64")}, "fd01::/64"},
		{"everything", Route{Dst: dst("10.9.0.0/16"), Gw: gw("10.88.0.1"), MTU: 1300, AdvMSS: 1200, Priority: 5, Table: 1000}, "10.9.0.0/16 via 10.88.0.1 metric 5 table 1000 mtu 1300 advmss 1200"},
		{"everything, IPv6", Route{Dst: dst("fd01::/64"), Gw: gw("fd00::1"), MTU: 1300, AdvMSS: 1200, Priority: 5, Table: 100}, "fd01::/64 via fd00::1 metric 5 table 100 mtu 1300 advmss 1200"},
		{"one host, scope link", Route{Dst: dst("10.9.9.9/32"), Scope: unix.RT_SCOPE_LINK}, "10.9.9.9/32 scope 253"},
	}
	for _, tt := range tests {
		r := tt.in
		r.IfName = "eth0"
		t.Run(tt.name, func(t *testing.T) {
			if tt.text == "" {
				tt.text = r.text()
			}
			world.CheckTampered(t, r, before, []world.Tamper{
				{Name: "nothing", Change: func(world.World) {}, Want: ""},
				{Name: "removed", Change: func(w world.World) { routes(w, r, func(netlink.Route) *netlink.Route { return nil }) }, Want: "container link eth0: route " + tt.text + " is missing"},
				{Name: "link removed", Change: func(w world.World) {
					w.Inside("eth0", netlink.LinkDel)
					w.ForgetLinks()
				}, Want: ""},
			})
		})
	}
}

// routes replaces the container's routes to r.Dst in its table by what fn makes of
// them, nil for nothing.
func routes(w world.World, r Route, fn func(netlink.Route) *netlink.Route) {
	w.Helper()
	w.Inside("eth0", func(netlink.Link) error {
		filter := &netlink.Route{Dst: &net.IPNet{IP: r.Dst.Addr().AsSlice(), Mask: net.CIDRMask(r.Dst.Bits(), r.Dst.Addr().BitLen())}, Table: r.table()}
		list, err := netlink.RouteListFiltered(rtnl.Family(r.Dst.Addr()), filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
		if err != nil || len(list) == 0 {
			return errors.Join(err, errors.New("no such route"))
		}
		for _, have := range list {
			if err := netlink.RouteDel(&have); err != nil {
				return err
			}
			if changed := fn(have); changed != nil {
				if err := netlink.RouteAdd(changed); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// TestRouteChanged: a route to the same place by another way.
func TestRouteChanged(t *testing.T) {
	tests := []struct {
		name   string
		change func(r *netlink.Route)
		have   string
	}{
		{"gateway", func(r *netlink.Route) { r.Gw = net.IPv4(10, 88, 0, 9) }, "10.9.0.0/16 via 10.88.0.9 metric 5 mtu 1300"},
		{"metric", func(r *netlink.Route) { r.Priority = 6 }, "10.9.0.0/16 via 10.88.0.1 metric 6 mtu 1300"},
		{"mtu", func(r *netlink.Route) { r.MTU = 1200 }, "10.9.0.0/16 via 10.88.0.1 metric 5 mtu 1200"},
		{"mtu removed", func(r *netlink.Route) { r.MTU = 0 }, "10.9.0.0/16 via 10.88.0.1 metric 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				r := Route{IfName: "eth0", Dst: netip.MustParsePrefix("10.9.0.0/16"), Gw: netip.MustParseAddr("10.88.0.1"), Priority: 5, MTU: 1300}
				w.Add(Bridge{Name: "br0"}, testVeth(), Addr{"eth0", netip.MustParsePrefix("10.88.0.2/16")}, LinkUp{"eth0"}, r)
				w.WantCheck(r, "")
				routes(w, r, func(have netlink.Route) *netlink.Route { tt.change(&have); return &have })
				w.WantCheck(r, "container link eth0: route is "+tt.have+", expected 10.9.0.0/16 via 10.88.0.1 metric 5 mtu 1300")
			})
		})
	}
}

// TestRouteRefused: the kernel's word, with the route.
func TestRouteRefused(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		r := Route{IfName: "eth0", Dst: netip.MustParsePrefix("10.9.0.0/16"), Gw: netip.MustParseAddr("192.0.2.1")}
		w.Add(Bridge{Name: "br0"}, testVeth(), Addr{"eth0", netip.MustParsePrefix("10.88.0.2/16")}, LinkUp{"eth0"})
		err := plan.Plan{Own: []plan.Object{r}}.Add(w.Session)
		if !errors.Is(err, unix.ENETUNREACH) || !strings.HasPrefix(err.Error(), "container link eth0: add route 10.9.0.0/16 via 192.0.2.1: network is unreachable") {
			t.Errorf("got %v", err)
		}
	})
}

func TestLinkTowards(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(Bridge{Name: "br0"}, gateway("10.88.0.1/16", false), gateway("fd00::1/64", false))
		for addr, want := range map[string]string{
			"":          "",
			"10.88.0.2": "br0", "fd00::2": "br0",
			"10.88.0.1": "", "127.0.0.1": "", // the host itself
			"192.0.2.1": "", "2001:db8::1": "", // no way there
		} {
			var a netip.Addr
			if addr != "" {
				a = netip.MustParseAddr(addr)
			}
			if got, err := LinkTowards(w.Session, a); err != nil || got != (Towards{want, want == "br0"}) {
				t.Errorf("%q: got %+v, %v, want %q", addr, got, err, want)
			}
		}
	})
}

func TestUplinkMTU(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		if _, err := UplinkMTU(w.Session); !errors.Is(err, ErrNoUplink) {
			t.Errorf("got %v, want %v", err, ErrNoUplink)
		}
		w.Add(Bridge{Name: "br0", MTU: 1450}, gateway("10.88.0.1/16", false), gateway("fd00::1/64", false))
		route := func(mtu int, dst, gw string) {
			_, all, err := net.ParseCIDR(dst)
			w.Must(err)
			w.Must(netlink.RouteReplace(&netlink.Route{Dst: all, Gw: net.ParseIP(gw), MTU: mtu}))
		}
		want := func(want int) {
			t.Helper()
			if got, err := UplinkMTU(w.Session); err != nil || got != want {
				t.Errorf("got %d, %v, want %d", got, err, want)
			}
		}
		route(0, "0.0.0.0/0", "10.88.0.9")
		want(1450)
		route(1400, "0.0.0.0/0", "10.88.0.9")
		want(1400)
		route(1300, "::/0", "fd00::9")
		want(1300)
		route(9000, "::/0", "fd00::9") // the link's is smaller
		want(1400)
		route(1280, "192.0.2.0/24", "10.88.0.9") // no way out
		want(1400)
	})
}
