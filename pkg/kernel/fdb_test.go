package kernel

import (
	"errors"
	"testing"
)

// TestFDBEntry: the bridge knows the container's MAC address and learns no other; one
// that another port has is refused.
func TestFDBEntry(t *testing.T) {
	inWorld(t, func(w world) {
		veth := testVeth()
		veth.Static, veth.Group = true, 25200
		entry := FDBEntry{Owner: owner, Bridge: "br0", MAC: veth.MAC}
		w.add(Bridge{Name: "br0"}, veth, LinkUp{"eth0"}, PortReady(owner))
		w.wantCheck(entry, "bridge br0: static fdb entry "+veth.MAC.String()+" is missing")
		w.add(entry, entry) // its own is no conflict
		w.wantCheck(entry, "")
		w.wantCheck(veth, "")
		other := Owner{"net", "c2", "eth0", ""}
		second := veth
		second.Owner, second.IfName = other, "eth1"
		w.add(second, LinkUp{"eth1"}, PortReady(other))
		err := FDBEntry{Owner: other, Bridge: "br0", MAC: veth.MAC, Asked: true}.Add(w.Session)
		want := "mac: " + veth.MAC.String() + " is on bridge br0 already, at its port " + owner.LinkName() + ": give the container another: conflict"
		if !errors.Is(err, ErrConflict) || err.Error() != want {
			t.Errorf("got %v", err)
		}
		entry.Owner, entry.Changed = other, true
		w.wantCheck(entry, "")
		entry.Changed = false
		w.wantCheck(entry, "bridge br0: port of "+veth.MAC.String()+" is "+owner.LinkName()+", expected "+other.LinkName())
		w.add(entry) // not asked for: the newest is right
		w.wantCheck(entry, "")
	})
}
