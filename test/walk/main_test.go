// Package walk takes a long random way through what runtimes do with the plugins:
// attach, detach, check, collect, with changing networks, lost namespaces and calls
// that lack things. After each step the promises must hold, and at the end nothing
// may be left. WALK_SEED repeats a walk, WALK_STEPS changes its length.
package walk

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

func TestMain(m *testing.M) { stage.Main(m.Run) }

func TestWalk(t *testing.T) {
	seed := stage.Number(t, "WALK_SEED", uint64(time.Now().UnixNano())%1_000_000)
	steps := int(stage.Number(t, "WALK_STEPS", 300/uint64(min(stage.Slow(), 3))))
	fmt.Printf("walk: WALK_SEED=%d WALK_STEPS=%d\n", seed, steps)
	w := newWorld(t, rand.New(rand.NewPCG(seed, 0)))
	before := w.Settled()
	for i := 1; i <= steps; i++ {
		w.step(i)
		w.expectPromises()
		if i%20 == 0 {
			w.probeAll()
		}
	}
	w.probeAll()
	w.leave()
	w.removeHandmade()
	w.ExpectEqual(before)
	fmt.Printf("walk: %d steps:%s\n", steps, w.counts())
}
