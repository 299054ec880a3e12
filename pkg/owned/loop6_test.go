package owned

import (
	"errors"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dropLoop6 deletes our route for ::1 through the bridge.
func dropLoop6(w world.World) {
	list, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_LOCAL, LinkIndex: w.Link("br0").Attrs().Index}, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_OIF)
	w.Must(err)
	for _, r := range list {
		if r.Dst.IP.IsLoopback() {
			w.Must(netlink.RouteDel(&r))
		}
	}
}

func TestLoopback6Check(t *testing.T) {
	const head = "[::1] through link br0: "
	l := link.Loopback6{Link: "br0", Bridge: true}
	world.CheckTampered(t, l, []plan.Object{link.Bridge{Name: "br0"}, firewall.Rules{}}, []world.Tamper{
		{Name: "nothing", Change: func(world.World) {}, Want: ""},
		{Name: "route", Change: dropLoop6, Want: head + "local route ::1 is missing"},
		{Name: "rules", Change: func(w world.World) {
			rules, err := w.Rules()
			w.Must(err)
			w.Must(ruleset.RetireBridge(rules, "br0"))
		}, Want: head + "rules for br_netfilter is missing"},
		{Name: "chain", Change: func(w world.World) {
			conn, err := nftables.New()
			w.Must(err)
			conn.DelChain(&nftables.Chain{Table: &nftables.Table{Name: nft.Table, Family: nftables.TableFamilyINet}, Name: "loopback6"})
			w.Must(conn.Flush())
		}, Want: "chain inet bridgeport loopback6 is missing"},
		{Name: "link", Change: func(w world.World) { w.Must(netlink.LinkDel(w.Link("br0"))) }, Want: head + "link br0 is missing"},
	})
}

// TestLoopback6: made once, kept beside lo's own route, and gone with the bridge.
func TestLoopback6(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		l := link.Loopback6{Link: "br0", Bridge: true}
		for range 2 {
			w.Add(link.Bridge{Name: "br0"}, firewall.Rules{}, l)
			w.WantCheck(l, "")
		}
		// A bridge that was made anew has neither route nor hook.
		w.Must(netlink.LinkDel(w.Link("br0")))
		w.ForgetLinks()
		w.Add(link.Bridge{Name: "br0"}, l)
		w.WantCheck(l, "")
		w.Must(errors.Join(foreign.RetireBridge(w.Session, "br0"), firewall.TidyRules(w.Session)))
		rules, err := w.Rules()
		w.Must(err)
		if has, err := ruleset.HasLoop6(rules, "br0"); has || err != nil {
			t.Errorf("after RetireBridge: rules %t, %v", has, err)
		}
		if got, err := w.Session.Host.Addresses(1); err != nil || len(got) != 2 {
			t.Errorf("lo: %v, %v", got, err)
		}
	})
}
