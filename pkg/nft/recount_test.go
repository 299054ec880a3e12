package nft

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
)

// TestRecount: the mark counts what the owner has: beside its own, for the port of somebody who is
// gone, once more, and without what goes.
func TestRecount(t *testing.T) {
	withConn(t, func(c *Conn) {
		hand := label.ByHand(byA)
		mark := Holder(MarkPublished, "vethaaaaaaaaaaa", tagA+" 0 net/a/eth0")
		own, first := HostPort(noAddr, 6, 8080, to4, byA), HostPort(noAddr, 6, 9000, to4, hand)
		dead, second := HostPort(noAddr, 6, 9001, to4, byB), HostPort(noAddr, 6, 9001, to4, hand)
		reply := OfContainer(ClassReply, to4.Addr(), snatChain.Name, hand)
		gone := func(_, _ Element) (bool, error) { return true, nil }
		change := func(want int, change Change) {
			t.Helper()
			change.Mark, change.Gone = &mark, gone
			add(t, c, change)
			have, found, err := c.Find(mark)
			wantNil(t, err)
			if n, _ := label.Parse(have.Comment); found != (want > 0) || found && n.Count != want {
				t.Errorf("%q counts, want %d", have.Comment, want)
			}
		}
		add(t, c, Change{Blocks: []Block{Base()}, Chains: []Chain{snatChain}, Elements: []Element{dead}})
		change(2, Change{Elements: []Element{first, reply}})
		change(3, Change{Elements: []Element{second, reply}})
		change(3, Change{Elements: []Element{second}})
		change(3, Change{Elements: []Element{HostPort(noAddr, 6, 9001, netip.AddrPortFrom(to4.Addr(), 81), hand)}})
		add(t, c, Change{Elements: []Element{own}})
		change(3, Change{Remove: []Element{own}})
		change(2, Change{Remove: []Element{first, first, reply}})
		change(0, Change{Remove: []Element{second, reply}})
		for _, e := range []Element{own, first, second, reply} {
			_, found, err := c.Find(e)
			wantNil(t, err)
			if found != e.SameKey(own) {
				t.Errorf("%s is there: %t", e.Name(), found)
			}
		}
		// Another network's of the same container has no heir by hand.
		other := HostPort(noAddr, 6, 8080, to4, "482c2e79-ccccccccccc other/a/eth1")
		err := c.Add(Change{Elements: []Element{other}, Mark: &mark})
		if fmt.Sprintf("%T", err) != "*nft.HeldError" {
			t.Errorf("got %v", err)
		}
	})
}
