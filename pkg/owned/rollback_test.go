package owned

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/bridgeport-cni/bridgeport/test/world/attached"
	"golang.org/x/sys/unix"
)

// TestRollback: a plan that fails at its end leaves nothing of its own.
func TestRollback(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		p := plan.Plan{
			Shared: []plan.Object{link.Bridge{Name: "br0"}, firewall.Rules{}},
			Own: []plan.Object{
				attached.SomeVeth(),
				firewall.FrameRules{},
				firewall.SpoofCheck{Owner: world.Owner, MAC: world.Owner.ContainerMAC(nil)},
				link.Addr{IfName: "eth0", Prefix: netip.MustParsePrefix("10.88.0.2/16")},
				link.LinkUp{IfName: "eth0"},
				attached.SomePorts(), attached.SomeMasquerade(),
				link.Route{IfName: "eth0", Dst: netip.MustParsePrefix("10.9.0.0/16"), Gw: netip.MustParseAddr("192.0.2.1")},
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
		w.Must(w.Vacant(world.Owner))
		w.Must(foreign.RetireBridge(w.Session, "br0"))
	})
}
