package swarm

import (
	"fmt"
	"path/filepath"
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
	crowd
	nets []*stage.Network
}

func newBus(t *testing.T, bin string, n int) *bus {
	t.Helper()
	b := &bus{crowd: crowd{t: t, host: stage.OpenSpace(t, "bus"), data: t.TempDir()}}
	if err := b.host.SetSysctl("net/ipv6/conf/default/accept_dad", "0"); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b.boxes = append(b.boxes, stage.OpenSpace(t, fmt.Sprintf("seat%d", i)))
	}
	for i, subnet := range families {
		list := encode(object{"cniVersion": "1.1.0", "name": fmt.Sprintf("bus%d", i), "plugins": []object{{
			"type": "bridge", "bridge": "bus0", "isDefaultGateway": true, "ipMasq": true,
			"ipam": hostLocal(filepath.Join(b.data, "leases"), subnet),
		}}})
		network, err := b.host.Network(list, bin, filepath.Join(b.data, "cache"))
		if err != nil {
			t.Fatal(err)
		}
		b.nets = append(b.nets, network)
	}
	return b
}

// each runs one call for each container at the same time.
func (b *bus) each(do func(network *stage.Network, id, path string) error) {
	b.t.Helper()
	errs := make([]error, len(b.boxes))
	all(len(b.boxes), func(i int) {
		errs[i] = do(b.nets[i%len(b.nets)], fmt.Sprintf("c%d", i), b.boxes[i].Path)
	})
	for _, err := range errs {
		if err != nil {
			b.t.Error(err)
		}
	}
}

func add(network *stage.Network, id, path string) error {
	_, err := network.Add(id, path, "eth0", nil)
	return err
}

func del(network *stage.Network, id, path string) error { return network.Del(id, path, "eth0", nil) }

// testFirst: what the first ones changed is taken back after the last one, each time.
func testFirst(t *testing.T, bin string) {
	b := newBus(t, bin, firsts)
	before := b.snap()
	for round := range firstRounds {
		b.each(add)
		b.each(del)
		for _, network := range b.nets {
			if err := network.GC(nil); err != nil {
				t.Error(err)
			}
		}
		if b.expectEqual(before); t.Failed() {
			t.Fatalf("round %d of %d", round+1, firstRounds)
		}
	}
}

// testRetired: a GC that finds the bridge without ports may remove it under an ADD,
// which must not fail for that.
func testRetired(t *testing.T, bin string) {
	b := newBus(t, bin, 2)
	before := b.snap()
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
	b.expectEqual(before)
}
