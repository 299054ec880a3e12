package plan_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
)

func TestMain(m *testing.M) { world.TestMain(m) }

// TestOpened: the host's own links with route_localnet are open, and none that leads to containers.
func TestOpened(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		add := func(l netlink.Link, addr string) {
			w.Must(netlink.LinkAdd(l))
			if addr != "" {
				parsed, err := netlink.ParseAddr(addr)
				w.Must(err)
				w.Must(netlink.AddrAdd(w.Link(l.Attrs().Name), parsed))
			}
		}
		named := func(name string) netlink.LinkAttrs { return netlink.LinkAttrs{Name: name} }
		veth := func(name string) *netlink.Veth {
			return &netlink.Veth{LinkAttrs: named(name), PeerName: name + "c", PeerNamespace: netlink.NsFd(w.Cont.Fd())}
		}
		add(&netlink.Ifb{LinkAttrs: named("own0")}, "")
		add(&netlink.Ifb{LinkAttrs: named("closed0")}, "192.0.2.1/24")
		add(&netlink.Ifb{LinkAttrs: named("odd*")}, "")
		add(veth("own1"), "192.0.2.2/24")
		add(veth("ptp0"), "192.0.2.3/32")
		add(veth("cali0"), "")
		add(&netlink.Bridge{LinkAttrs: named("br0")}, "192.0.2.4/24")
		add(&netlink.Veth{LinkAttrs: named("br0.5"), PeerName: "port5"}, "192.0.2.5/24")
		w.Must(netlink.LinkSetMaster(w.Link("port5"), w.Link("br0")))
		set := func(link, value string) {
			w.Must(os.WriteFile(fmt.Sprintf("/proc/sys/net/ipv4/conf/%s/route_localnet", link), []byte(value), 0o644))
		}
		for _, link := range []string{"own0", "own1", "odd*", "ptp0", "cali0", "br0", "br0.5"} {
			set(link, "1")
		}
		want := []string{"own0", "own1"}
		if got := w.Opened(); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("open: %v, want %v", got, want)
		}
		set("default", "1")
		if got := w.Opened(); len(got) > 0 {
			t.Errorf("open although nobody chose a link: %v", got)
		}
	})
}
