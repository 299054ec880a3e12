package owned

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/bridgeport-cni/bridgeport/test/world/attached"
	"github.com/vishvananda/netlink"
)

// TestSweepUnmarked: an attachment that lost its mark is found by its ports.
func TestSweepUnmarked(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(firewall.Rules{}, attached.SomePorts())
		attached.DropElement(nft.Holder("published", world.Owner.LinkName(), ""))(w)
		tags, err := Owners(w.Session, "net", PortsOnly)
		if err != nil || !slices.Equal(tags, []string{world.Owner.Tag()}) {
			t.Errorf("got %v, %v", tags, err)
		}
		w.Must(Remove(w.Session, world.Owner.Tag(), PortsOnly))
		if n := attached.CountElements(w, world.Owner.Tag()); n != 0 {
			t.Errorf("%d elements left", n)
		}
	})
}

// TestSweep: by the tag alone, as GC and an operator do.
func TestSweep(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(link.Bridge{Name: "br0"}, attached.SomeVeth(), firewall.FrameRules{}, firewall.SpoofCheck{Owner: world.Owner, MAC: world.Owner.ContainerMAC(nil)}, firewall.Rules{}, attached.SomePorts(), attached.SomeMasquerade())
		foreign := plan.Owner{Network: "net2", ContainerID: "c1", IfName: "eth0", Pod: ""}
		m := attached.SomeMasquerade()
		m.Owner, m.Addrs = foreign, []netip.Prefix{netip.MustParsePrefix("10.99.0.2/16")}
		w.Add(m)
		for _, part := range []Part{Everything, PortsOnly} {
			if tags, err := Owners(w.Session, "net", part); err != nil || !slices.Equal(tags, []string{world.Owner.Tag()}) {
				t.Errorf("got %v, %v", tags, err)
			}
		}
		w.Must(Sweep(w.Session, "net", nil, Everything))
		if n := attached.CountElements(w, world.Owner.Tag()); n != 0 {
			t.Errorf("%d elements left", n)
		}
		w.Must(w.Vacant(world.Owner))
		w.WantCheck(m, "")
	})
}

// TestSweepRenamed: a dead attachment's link goes under whatever name, a living one's stays.
func TestSweepRenamed(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(link.Bridge{Name: "br0"}, attached.SomeVeth())
		w.Must(netlink.LinkSetDown(w.Link(world.Owner.LinkName()))) // before Linux 6.2 a link keeps its name while it is up
		w.Must(netlink.LinkSetName(w.Link(world.Owner.LinkName()), "renamed"))
		w.Must(Sweep(w.Session, "net", []plan.Owner{world.Owner}, Everything))
		w.Must(Sweep(w.Session, "net2", nil, Everything))
		w.Link("renamed")
		w.Must(Sweep(w.Session, "net", nil, Everything))
		if link.Exists(w.Session, "renamed") {
			t.Error("the link is left")
		}
	})
}
