package link

import (
	"errors"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
)

// TestFDBEntry: the bridge knows the container's MAC address and learns no other; one
// that another port has is refused.
func TestFDBEntry(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		veth := testVeth()
		veth.Static, veth.Group = true, 25200
		entry := FDBEntry{Owner: world.Owner, Bridge: "br0", MAC: veth.MAC}
		w.Add(Bridge{Name: "br0"}, veth, LinkUp{"eth0"}, PortReady(world.Owner))
		w.WantCheck(entry, "bridge br0: static fdb entry "+veth.MAC.String()+" is missing")
		w.Add(entry, entry) // its own is no conflict
		w.WantCheck(entry, "")
		w.WantCheck(veth, "")
		other := plan.Owner{Network: "net", ContainerID: "c2", IfName: "eth0", Pod: ""}
		second := veth
		second.Owner, second.IfName = other, "eth1"
		w.Add(second, LinkUp{"eth1"}, PortReady(other))
		err := FDBEntry{Owner: other, Bridge: "br0", MAC: veth.MAC, Asked: true}.Add(w.Session)
		want := "mac: " + veth.MAC.String() + " is on bridge br0 already, at its port " + world.Owner.LinkName() + ": give the container another: conflict"
		if !errors.Is(err, plan.ErrConflict) || err.Error() != want {
			t.Errorf("got %v", err)
		}
		entry.Owner, entry.Changed = other, true
		w.WantCheck(entry, "")
		entry.Changed = false
		w.WantCheck(entry, "bridge br0: port of "+veth.MAC.String()+" is "+world.Owner.LinkName()+", expected "+other.LinkName())
		w.Add(entry) // not asked for: the newest is right
		w.WantCheck(entry, "")
	})
}
