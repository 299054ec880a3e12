package nft

import (
	"errors"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// TestReplaceGate: with the port of somebody who is gone goes that one's gate, and no
// other's.
func TestReplaceGate(t *testing.T) {
	chain := gateChain
	for name, c := range map[string]struct {
		owner string // of the gate
		stays bool
	}{"the same owner's": {byA, false}, "another's": {byB, true}} {
		t.Run(name, func(t *testing.T) {
			withConn(t, func(conn *Conn) {
				port := HostPort(noAddr, 6, 8080, to4, byA)
				gate, _ := AtGate(port, chain.Name)
				gate.Comment = c.owner
				add(t, conn, Change{Blocks: []Block{Base()}, Chains: []Chain{chain}, Elements: []Element{port, gate}})
				add(t, conn, Change{
					Blocks: []Block{Base()}, Elements: []Element{HostPort(noAddr, 6, 8080, to4, "482c2e79-ccccccccccc net/c/eth0")},
					Gone: func(_, _ Element) (bool, error) { return true, nil },
				})
				if _, found, err := conn.Find(gate); found != c.stays || err != nil {
					t.Errorf("the gate is there: %t, %v", found, err)
				}
			})
		})
	}
}

// TestDeleteGuarded: an element that changes its owner between our look and our commit
// stays. The other one here does not know our lock, and changes it all the time: Delete
// would be in its way at each of its tries, the last of which relies on the lock alone.
func TestDeleteGuarded(t *testing.T) {
	s := space(t)
	inSpace := func(do func(c *Conn)) {
		t.Helper()
		if err := s.Do(func() error { return useConn(do) }); err != nil {
			t.Error(err)
		}
	}
	element := OfContainer(ClassMasquerade, addr4, masqChain.Name, byA)
	inSpace(func(c *Conn) {
		add(t, c, Change{Blocks: []Block{Base()}, Chains: []Chain{masqChain}, Elements: []Element{element}})
	})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		inSpace(func(c *Conn) {
			for {
				select {
				case <-stop:
					return
				default:
					_, err := c.deleteOnce(tagA, []Element{element}, 0, true)
					if !errors.Is(err, unix.ERESTART) && !errors.Is(err, unix.ENOENT) {
						wantNil(t, err)
					}
				}
			}
		})
	}()
	inSpace(func(c *Conn) {
		give := func(comment string) {
			e := element
			e.Comment = comment
			set := c.sets[e.Set]
			c.nl.FlushSet(set)
			wantNil(t, c.nl.SetAddElements(set, []nftables.SetElement{e.wire()}))
			wantNil(t, c.nl.Flush())
		}
		for round := range 1000 {
			give(byA)
			give(byB)
			if _, found, err := c.Find(element); !found || err != nil {
				t.Errorf("round %d: the other owner's element is there: %t, %v", round, found, err)
				break
			}
		}
	})
	close(stop)
	<-done
}
