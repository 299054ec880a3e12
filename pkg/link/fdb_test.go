package link

import (
	"errors"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
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
		err := FDBEntry{Owner: other, Bridge: "br0", MAC: veth.MAC}.Add(w.Session)
		want := "address " + veth.MAC.String() + " on bridge br0 is held by container c1 (network net, interface eth0): "
		if !errors.Is(err, plan.ErrConflict) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v", err)
		}
		entry.Owner, entry.Changed = other, true
		w.WantCheck(entry, "")
		entry.Changed = false
		w.WantCheck(entry, "bridge br0: port of "+veth.MAC.String()+" is "+world.Owner.LinkName()+", expected "+other.LinkName())
		w.Must(netlink.LinkDel(w.Link(world.Owner.LinkName()))) // nobody is behind it any more
		w.Add(entry)
		w.WantCheck(entry, "")
	})
}
