package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestAddressesOfKind: those of one kind of devices, none where there is no device.
func TestAddressesOfKind(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		want := func(want string) {
			t.Helper()
			if got, err := w.Session.Host.AddressesOfKind("bridge"); err != nil || fmt.Sprint(got) != want || got == nil != (want == "map[]") {
				t.Errorf("got %v, %v, want %s", got, err, want)
			}
		}
		want("map[]")
		w.Add(link.Bridge{Name: "br0"}, link.Bridge{Name: "br1"}, link.Gateway{Link: "br0", Prefix: netip.MustParsePrefix("10.99.0.1/24")})
		w.Must(netlink.AddrAdd(w.Link("lo"), &netlink.Addr{IPNet: netlink.NewIPNet([]byte{10, 99, 0, 2})}))
		want("map[10.99.0.1:br0]")
	})
}

// TestServiceAddresses: the sets follow the dummy devices, and only those.
func TestServiceAddresses(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(Rules{}, link.Bridge{Name: "br0"})
		addr := func(link, text string, do func(netlink.Link, *netlink.Addr) error) {
			a, err := netlink.ParseAddr(text)
			w.Must(err)
			w.Must(do(w.Link(link), a))
		}
		want := func(want string) {
			t.Helper()
			w.Add(ServiceAddresses{})
			rules, err := w.Rules()
			w.Must(err)
			four, err := rules.List("vips4")
			w.Must(err)
			six, err := rules.List("vips6")
			w.Must(err)
			got := ""
			for _, e := range append(four, six...) {
				got += fmt.Sprintf("%s %s, ", e.Name(), e.Comment)
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		addr("br0", "10.99.0.1/24", netlink.AddrAdd)
		want("")
		// As kube-proxy has it: down.
		err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "kube-ipvs0"}})
		if errors.Is(err, unix.EOPNOTSUPP) && os.Getenv("BRIDGEPORT_VM") != "1" {
			t.Skip("the kernel lacks dummy devices")
		}
		w.Must(err)
		want("")
		addr("kube-ipvs0", "10.96.0.1/32", netlink.AddrAdd)
		addr("kube-ipvs0", "fd96::1/128", netlink.AddrAdd)
		for range 2 {
			want("vips4 { 10.96.0.1 } kube-ipvs0, vips6 { fd96::1 } kube-ipvs0, ")
		}
		addr("kube-ipvs0", "10.96.0.1/32", netlink.AddrDel)
		addr("br0", "10.96.0.1/32", netlink.AddrAdd)
		want("vips6 { fd96::1 } kube-ipvs0, ")
		w.Must(TidyRules(w.Session)) // they keep no table
		if err := (Rules{}).Check(w.Session); err == nil {
			t.Error("the table is still there")
		}
	})
}
