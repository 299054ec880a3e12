package kernel

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// TestSweepUnmarked: an attachment that lost its mark is found by its ports.
func TestSweepUnmarked(t *testing.T) {
	inWorld(t, func(w world) {
		w.add(Rules{}, SomePorts())
		DropElement(nft.Holder("published", owner.LinkName(), ""))(w)
		tags, err := Owners(w.Session, "net", PortsOnly)
		if err != nil || !slices.Equal(tags, []string{owner.Tag()}) {
			t.Errorf("got %v, %v", tags, err)
		}
		w.must(Remove(w.Session, owner.Tag(), PortsOnly))
		if n := CountElements(w, owner.Tag()); n != 0 {
			t.Errorf("%d elements left", n)
		}
	})
}

// TestSweep: by the tag alone, as GC and an operator do.
func TestSweep(t *testing.T) {
	inWorld(t, func(w world) {
		w.add(Bridge{Name: "br0"}, SomeVeth(), FrameRules{}, SpoofCheck{Owner: owner, MAC: owner.ContainerMAC(nil)}, Rules{}, SomePorts(), SomeMasquerade())
		foreign := Owner{"net2", "c1", "eth0", ""}
		m := SomeMasquerade()
		m.Owner, m.Addrs = foreign, []netip.Prefix{netip.MustParsePrefix("10.99.0.2/16")}
		w.add(m)
		for _, part := range []Part{Everything, PortsOnly} {
			if tags, err := Owners(w.Session, "net", part); err != nil || !slices.Equal(tags, []string{owner.Tag()}) {
				t.Errorf("got %v, %v", tags, err)
			}
		}
		w.must(errors.Join(Remove(w.Session, owner.Tag(), Everything), Remove(w.Session, owner.Tag(), PortsOnly)))
		if n := CountElements(w, owner.Tag()); n != 0 {
			t.Errorf("%d elements left", n)
		}
		w.must(w.Vacant(owner))
		w.wantCheck(m, "")
	})
}
