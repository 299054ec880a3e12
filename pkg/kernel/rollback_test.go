package kernel

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRollback: a plan that fails at its end leaves nothing of its own.
func TestRollback(t *testing.T) {
	inWorld(t, func(w world) {
		p := Plan{
			Shared: []Object{Bridge{Name: "br0"}, Rules{}},
			Own: []Object{
				SomeVeth(),
				FrameRules{},
				SpoofCheck{Owner: owner, MAC: owner.ContainerMAC(nil)},
				Addr{"eth0", netip.MustParsePrefix("10.88.0.2/16")},
				LinkUp{"eth0"},
				SomePorts(), SomeMasquerade(),
				Route{IfName: "eth0", Dst: netip.MustParsePrefix("10.9.0.0/16"), Gw: netip.MustParseAddr("192.0.2.1")},
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
		w.must(w.Vacant(owner))
		w.must(RetireBridge(w.Session, "br0"))
	})
}
