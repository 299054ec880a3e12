// Package soak lets many workers attach and detach containers for a while, with enemies
// all around, and checks the history as it grows. SOAK_SEED repeats each worker's choices;
// SOAK_WORKERS and SOAK_SECONDS say how many and how long.
package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// summary is the last line.
var summary string

func TestMain(m *testing.M) {
	code, isChild := stage.Isolate()
	if isChild {
		code = m.Run()
		fmt.Println(summary)
	}
	os.Exit(code)
}

func TestSoak(t *testing.T) {
	seed := stage.Number(t, "SOAK_SEED", uint64(time.Now().UnixNano())%1_000_000)
	workers := int(stage.Number(t, "SOAK_WORKERS", 12))
	seconds := time.Duration(stage.Number(t, "SOAK_SECONDS", 15)) * time.Second
	fmt.Printf("soak: SOAK_SEED=%d SOAK_WORKERS=%d SOAK_SECONDS=%.0f\n", seed, workers, seconds.Seconds())
	w := newWorld(t)
	before, err := w.state()
	w.Must(err)
	end := time.Now().Add(seconds)
	var wait sync.WaitGroup
	for i := range workers {
		wait.Go(func() {
			k := &worker{world: w, n: i, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
			k.work(end)
		})
	}
	wait.Go(func() { w.enemies(rand.New(rand.NewPCG(seed, 1<<32)), end) })
	wait.Wait()
	for _, n := range w.networks {
		if out, err := w.call(n, "GC", attachment{}, calm); err != nil {
			t.Errorf("last GC: %v %s", err, out)
		}
	}
	if err := before.Await(4*time.Second, w.state); err != nil {
		t.Error(err)
		w.violations.Add(1)
	}
	summary = fmt.Sprintf("soak: %d ADDs (%d attached), %d DELs, %d CHECKs, %d GCs, %d calls disturbed, %d pings, %d violations",
		w.adds.Load(), w.attached.Load(), w.dels.Load(), w.checks.Load(), w.gcs.Load(), w.disturbed.Load(), w.pings.Load(), w.violations.Load())
	if w.attached.Load() < w.adds.Load()/3 || w.pings.Load() == 0 {
		t.Error("most ADDs failed, or nothing was reached: the run shows nothing")
	}
}
