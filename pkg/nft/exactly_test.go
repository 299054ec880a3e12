package nft

import (
	"net/netip"
	"testing"
)

// TestExactly: the sets hold what they are told to, and nothing else.
func TestExactly(t *testing.T) {
	a, b := netip.MustParseAddr("10.96.0.1"), netip.MustParseAddr("fd96::1")
	withConn(t, func(c *Conn) {
		add(t, c, Change{Blocks: []Block{Base()}})
		for _, want := range []map[netip.Addr]string{
			{}, {a: "kube-ipvs0"}, {a: "kube-ipvs0", b: "kube-ipvs0"}, {b: "dns0"}, {},
		} {
			add(t, c, Change{Exactly: map[Class][]Element{ClassService: services(want)}})
			n := 0
			for _, set := range []string{"vips4", "vips6"} {
				list, err := c.List(set)
				if err != nil {
					t.Fatal(err)
				}
				n += len(list)
			}
			if n != len(want) {
				t.Errorf("%d addresses, want %v", n, want)
			}
		}
		if err := c.Retire(func() (bool, bool, error) { return false, false, nil }, noChain); err != nil { // they are no attachments
			t.Error(err)
		}
		if ch, err := c.look(baseChains()[0]); err != nil || ch[0] != nil {
			t.Errorf("the table is still there: %v", err)
		}
	})
}

func services(devices map[netip.Addr]string) (list []Element) {
	for a, device := range devices {
		list = append(list, Service(a, device))
	}
	return list
}
