package nft

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

// TestRace: many first ADDs at once make one set of rules, and all their elements.
func TestRace(t *testing.T) {
	const size = 20
	s := space(t)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range size {
		wg.Go(func() {
			err := s.Do(func() error {
				return useConn(func(c *Conn) {
					<-start
					addr := netip.AddrFrom4([4]byte{10, 88, 1, byte(i)})
					add(t, c, attachment(addr, uint16(8000+i), fmt.Sprintf("482c2e79-%011x net/%d/eth0", i, i)))
				})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	err := s.Do(func() error {
		return useConn(func(c *Conn) {
			for _, ch := range append(baseChains(), masqChain, snatChain) {
				if got := c.listed(t, ch); len(got) != len(ch.Rules) {
					t.Errorf("chain %s: %d rules, want %d", ch.Name, len(got), len(ch.Rules))
				}
			}
			if got := len(held(t, c)); got != 5*size {
				t.Errorf("%d elements, want %d", got, 5*size)
			}
		})
	})
	if err != nil {
		t.Error(err)
	}
}
