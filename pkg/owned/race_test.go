package owned

import (
	"net/netip"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/bridgeport-cni/bridgeport/test/world"
)

// otherGC is what the GC of another network does to what all share.
func otherGC(w world.World) {
	w.Helper()
	h, err := plan.Open(nil)
	w.Must(err)
	defer h.Close()
	w.Must(firewall.TidyRules(h))
}

// TestOtherGC: between any two steps of an ADD, GC of another network takes nothing away
// that the ADD has made or will rely on.
func TestOtherGC(t *testing.T) {
	const bridge = "br0"
	to := netip.MustParseAddrPort("[fd00::2]:80")
	loop, ports := link.Loopback6{Link: bridge, Bridge: true}, firewall.Ports{Owner: world.Owner, Ports: []hostport.Mapping{{Protocol: 6, HostPort: 8080, Container: to}}}
	limit := firewall.Restriction{Owner: world.Owner, Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/16")}, Connections: 10}
	vips := firewall.ServiceAddresses{}
	for _, plan := range [][]plan.Object{
		{firewall.Rules{}, firewall.TrafficRules{}, loop, vips, ports, limit},
		{firewall.Rules{}, loop, vips, ports},
		{firewall.Rules{}, firewall.TrafficRules{}, limit},
	} {
		testOtherGC(t, bridge, plan)
	}
}

func testOtherGC(t *testing.T, bridge string, plan []plan.Object) {
	t.Helper()
	for at := range plan {
		world.InWorld(t, func(w world.World) {
			w.ForeignBridge(bridge)
			for i, o := range plan {
				if i == at {
					otherGC(w)
				}
				w.Must(o.Add(w.Session))
				if i < at {
					w.Must(w.Flush())
				}
			}
			w.Must(w.Flush())
			for _, o := range plan {
				w.WantCheck(o, "")
			}
		})
	}
}

// ruleless is an object that fails when somebody has taken the table.
type ruleless struct{ w world.World }

func (r ruleless) Add(s *plan.Session) error {
	rules, err := s.Rules()
	r.w.Must(err)
	r.w.Must(ruleset.Retire(rules, func() (bool, bool, error) { return false, false, nil }))
	return rtnl.ErrNoLink
}
func (ruleless) String() string { return "" }

// TestGuardAfterFailure: where an ADD has let packets for loopback addresses in and fails
// then, the guard is there whatever GC did.
func TestGuardAfterFailure(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.ForeignBridge("br0")
		open := firewall.LocalNet{Link: "br0"}
		if err := (plan.Plan{Shared: []plan.Object{firewall.Rules{}, open}, Own: []plan.Object{ruleless{w}}}).Add(w.Session); err == nil {
			t.Error("no error")
		}
		w.WantCheck(firewall.Rules{}, "")
		otherGC(w)
		w.WantCheck(firewall.Rules{}, "")
	})
}
