package kernel

import (
	"net/netip"
	"testing"

	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
)

// otherGC is what the GC of another network does to what all share.
func otherGC(w world) {
	w.Helper()
	h, err := Open(nil)
	w.must(err)
	defer h.Close()
	w.must(TidyRules(h))
}

// TestOtherGC: between any two steps of an ADD, GC of another network takes nothing away
// that the ADD has made or will rely on.
func TestOtherGC(t *testing.T) {
	const bridge = "br0"
	to := netip.MustParseAddrPort("[fd00::2]:80")
	loop, ports := Loopback6{Link: bridge, Bridge: true}, Ports{Owner: owner, Ports: []Port{{Protocol: 6, HostPort: 8080, Container: to}}}
	limit := Restriction{Owner: owner, Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/16")}, Connections: 10}
	vips := ServiceAddresses{}
	for _, plan := range [][]Object{
		{Rules{}, TrafficRules{}, loop, vips, ports, limit},
		{Rules{}, loop, vips, ports},
		{Rules{}, TrafficRules{}, limit},
	} {
		testOtherGC(t, bridge, plan)
	}
}

func testOtherGC(t *testing.T, bridge string, plan []Object) {
	t.Helper()
	for at := range plan {
		inWorld(t, func(w world) {
			w.foreignBridge(bridge)
			for i, o := range plan {
				if i == at {
					otherGC(w)
				}
				w.must(o.Add(w.Session))
				if i < at {
					w.must(w.Flush())
				}
			}
			w.must(w.Flush())
			for _, o := range plan {
				w.wantCheck(o, "")
			}
		})
	}
}

// ruleless is an object that fails when somebody has taken the table.
type ruleless struct{ w world }

func (r ruleless) Add(s *Session) error {
	rules, err := s.Rules()
	r.w.must(err)
	r.w.must(rules.Retire(func() (bool, bool, error) { return false, false, nil }))
	return rtnl.ErrNoLink
}
func (ruleless) String() string { return "" }

// TestGuardAfterFailure: where an ADD has let packets for loopback addresses in and fails
// then, the guard is there whatever GC did.
func TestGuardAfterFailure(t *testing.T) {
	inWorld(t, func(w world) {
		w.foreignBridge("br0")
		open := LocalNet{"br0"}
		if err := (Plan{Shared: []Object{Rules{}, open}, Own: []Object{ruleless{w}}}).Add(w.Session); err == nil {
			t.Error("no error")
		}
		w.wantCheck(Rules{}, "")
		otherGC(w)
		w.wantCheck(Rules{}, "")
	})
}
