package nft

import (
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/limit"
	"github.com/google/nftables"
)

// FuzzElement: whatever keys and values somebody has put into a set of one of our names,
// they can be printed, and nothing but a port map's element is a port.
func FuzzElement(f *testing.F) {
	verdict := []byte{8, 0, 1, 0, 255, 255, 255, 253, 9, 0, 2, 0, 'm', 'a', 's', 'q', 0}
	for _, set := range []string{"anyport4", "hostport6", "snat4", "masquerade6", "published", "macs", "loopback6", ""} {
		for _, key := range [][]byte{nil, {1}, make([]byte, 4), make([]byte, 8), make([]byte, 16), make([]byte, 24)} {
			f.Add(set, key, verdict, true, "30629ef8-1b753752339 2 lan/c1/eth0")
			f.Add(set, key, make([]byte, 8), false, "")
			f.Add(set, key, verdict[:7], true, "x")
		}
	}
	f.Fuzz(func(t *testing.T, name string, key, value []byte, verdict bool, comment string) {
		defer limit.Cost(t)()
		set := &nftables.Set{Name: name, IsMap: true}
		if verdict {
			set.DataType = nftables.TypeVerdict
		}
		e := fromWire(set, nftables.SetElement{Key: key, Val: value, Comment: comment})
		if !strings.HasPrefix(e.Name(), name+" { ") || e.Target() == "" || e.String() == "" {
			t.Errorf("prints %q", e.Name())
		}
		if _, _, to, ok := e.Forward(); ok && !to.Addr().IsValid() {
			t.Errorf("forwards to %s", to)
		}
	})
}
