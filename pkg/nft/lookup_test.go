package nft

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
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

// TestOthers: chains of iptables and tables of the reference, where there are some.
func TestOthers(t *testing.T) {
	withConn(t, func(c *Conn) {
		want := Others{}
		for range 2 {
			if got, err := c.Others("EXAMPLE"); err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
			if want.Theirs {
				return
			}
			c.addForeign(t)
			want = Others{Chain6: true, Theirs: true}
		}
	})
}

// addForeign makes a chain EXAMPLE in table ip6 nat, and a table of the reference.
func (c *Conn) addForeign(t *testing.T) {
	t.Helper()
	nat := c.nl.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv6, Name: "nat"})
	c.nl.AddChain(&nftables.Chain{Table: nat, Name: "EXAMPLE"})
	c.nl.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: theirPorts})
	c.flush(t)
}
