package nft

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
)

// TestFindAll: each answer goes to its question, however many there are and whichever
// of them exist.
func TestFindAll(t *testing.T) {
	withConn(t, func(c *Conn) {
		var asked, there []Element
		for port := range uint16(3*netlink.Window + 5) {
			e := HostPort(noAddr, 6, port+1, to4, byA)
			if asked = append(asked, e); port%3 == 0 {
				there = append(there, e)
			}
		}
		for range 2 { // without the table, and with it
			found, err := c.FindAll(asked)
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range found {
				if e != nil {
					t.Errorf("%s: got %s", asked[i].Name(), e.Target())
				}
			}
			add(t, c, Change{Blocks: []Block{Base()}})
		}
		add(t, c, Change{Elements: there})
		found, err := c.FindAll(asked)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range found {
			if (e != nil) != (i%3 == 0) || e != nil && (e.Target() != asked[i].Target() || e.Comment != byA || e.Connections != 0) {
				t.Errorf("%s: got %+v", asked[i].Name(), e)
			}
		}
		if found, err := c.FindAll(nil); err != nil || len(found) != 0 {
			t.Errorf("nothing: got %v, %v", found, err)
		}
	})
}
