package swarm

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// Attachments that all find nothing there: each may be the one that makes the bridge
// and the host a router, and none may forget what another has noted.
const (
	firsts      = 12
	firstRounds = 10
)

// families are networks of one bridge: each changes other settings of the host.
var families = []string{"10.73.0.0/24", "fd73::/64", "10.74.0.0/24"}

// bus is a host with one bridge for several networks.
type bus struct {
	*crowd
	nets []*stage.Network
}

func newBus(t *testing.T, n int) *bus {
	t.Helper()
	b := &bus{crowd: newCrowd(stage.Bare(t), n)}
	for i, subnet := range families {
		b.nets = append(b.nets, b.Network(stage.List(b.Bridge(subnet).With(stage.Conf{"name": fmt.Sprintf("bus%d", i), "bridge": "bus0"}))))
	}
	return b
}

// each runs one call for each container at the same time.
func (b *bus) each(do func(network *stage.Network, id, path string) error) {
	b.Helper()
	errs := make([]error, len(b.boxes))
	all(len(b.boxes), func(i int) {
		errs[i] = do(b.nets[i%len(b.nets)], b.boxes[i].ID, b.boxes[i].Path)
	})
	for _, err := range errs {
		if err != nil {
			b.Error(err)
		}
	}
}

func add(network *stage.Network, id, path string) error {
	_, err := network.Add(id, path, "eth0", nil)
	return err
}

func del(network *stage.Network, id, path string) error { return network.Del(id, path, "eth0", nil) }

// testFirst: what the first ones changed is taken back after the last one, each time.
func testFirst(t *testing.T) {
	b := newBus(t, firsts)
	before := b.Snap()
	for round := range firstRounds {
		b.each(add)
		b.each(del)
		for _, network := range b.nets {
			if err := network.GC(nil); err != nil {
				t.Error(err)
			}
		}
		t.Logf("round %d of %d", round+1, firstRounds)
		b.ExpectEqual(before)
	}
}

// testRetired: a GC that finds the bridge without ports may remove it under an ADD,
// which must not fail for that.
func testRetired(t *testing.T) {
	b := newBus(t, 2)
	before := b.Snap()
	var stop atomic.Bool
	collected := make(chan error, 1)
	idle := b.nets[2]
	go func() {
		var err error
		for err == nil && !stop.Load() {
			err = idle.GC(nil)
		}
		collected <- err
	}()
	for range 3 * firstRounds {
		b.each(add)
		b.each(del)
	}
	stop.Store(true)
	if err := <-collected; err != nil {
		t.Error(err)
	}
	for _, network := range b.nets {
		if err := network.GC(nil); err != nil {
			t.Error(err)
		}
	}
	b.ExpectEqual(before)
}
