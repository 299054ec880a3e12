package link

import (
	"net/netip"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
)

// TestStale: GC may retire a bridge between the look at it and a question by its number. That
// is no error of the question: ADD makes the bridge anew.
func TestStale(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(Bridge{Name: "br0"})
		index, err := w.HostIndex("br0")
		w.Must(err)
		w.Must(netlink.LinkDel(w.Link("br0")))
		if mac, err := Neighbour(w.Session, "br0", netip.MustParseAddr("10.1.0.2")); mac != nil || err != nil {
			t.Errorf("neighbour: %v, %v", mac, err)
		}
		if list, err := HeldAddresses(w.Session, "br0"); list != nil || err != nil {
			t.Errorf("held addresses: %v, %v", list, err)
		}
		prefix := netip.MustParsePrefix("10.1.0.1/24")
		if err := checkAddress(w.Host, index, nil, "", "br0", "address", prefix); err != nil {
			t.Errorf("check of an address: %v", err)
		}
	})
}
