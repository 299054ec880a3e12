package kernel

import (
	"errors"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dropLoop6 deletes our route for ::1 through the bridge.
func dropLoop6(w world) {
	list, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_LOCAL, LinkIndex: w.link("br0").Attrs().Index}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_OIF)
	w.must(err)
	for _, r := range list {
		if r.Dst.IP.IsLoopback() {
			w.must(netlink.RouteDel(&r))
		}
	}
}

func TestLoopback6Check(t *testing.T) {
	const head = "[::1] through link br0: "
	l := Loopback6{Link: "br0", Bridge: true}
	checkTampered(t, l, []Object{Bridge{Name: "br0"}, Rules{}}, []tamper{
		{"nothing", func(world) {}, ""},
		{"route", dropLoop6, head + "local route ::1 is missing"},
		{"rules", func(w world) {
			rules, err := w.Rules()
			w.must(err)
			w.must(rules.RetireBridge("br0"))
		}, head + "rules for br_netfilter is missing"},
		{"chain", func(w world) {
			conn, err := nftables.New()
			w.must(err)
			conn.DelChain(&nftables.Chain{Table: &nftables.Table{Name: nft.Table, Family: nftables.TableFamilyINet}, Name: "loopback6"})
			w.must(conn.Flush())
		}, "chain inet bridgeport loopback6 is missing"},
		{"link", func(w world) { w.must(netlink.LinkDel(w.link("br0"))) }, head + "link br0 is missing"},
	})
}

// TestLoopback6: made once, kept beside lo's own route, and gone with the bridge.
func TestLoopback6(t *testing.T) {
	inWorld(t, func(w world) {
		l := Loopback6{Link: "br0", Bridge: true}
		for range 2 {
			w.add(Bridge{Name: "br0"}, Rules{}, l)
			w.wantCheck(l, "")
		}
		// A bridge that was made anew has neither route nor hook.
		w.must(netlink.LinkDel(w.link("br0")))
		w.forgetLinks()
		w.add(Bridge{Name: "br0"}, l)
		w.wantCheck(l, "")
		w.must(errors.Join(RetireBridge(w.Session, "br0"), TidyRules(w.Session)))
		rules, err := w.Rules()
		w.must(err)
		if has, err := rules.HasLoop6("br0"); has || err != nil {
			t.Errorf("after RetireBridge: rules %t, %v", has, err)
		}
		if got, err := w.Session.Host.Addresses(1); err != nil || len(got) != 2 {
			t.Errorf("lo: %v, %v", got, err)
		}
	})
}
