// Package schedules lets two verbs meet that have something in common: a network, a bridge, a
// port, an address, a lease directory, a container. It stops one of them at a system call, lets
// the other one run, and goes on, in every way that two stops allow; and it kills one of them
// there. What comes of two verbs must be what comes of them one after the other, in one of
// the two orders. Then everything is deleted, and the host is as before.
//
// SCHEDULES=all runs all schedules; otherwise some of each pair are, which depend on
// SCHEDULES_SEED. SCHEDULES_PLUGINS is a directory of other plugins to try.
package schedules

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// What the last line says.
var met, schedules, violations, strayed atomic.Int64

// mode is how many schedules are run: "quick", "one" stop each, or "all".
var mode = "quick"

// foreign is the directory of other plugins; "" for ours.
var foreign = os.Getenv("SCHEDULES_PLUGINS")

// list says whether each schedule is told.
var list = os.Getenv("SCHEDULES_LIST") != ""

// seed chooses the schedules of a quick run: always the same ones, but for SCHEDULES_SEED.
var seed uint64 = 948431

func TestMain(m *testing.M) {
	code, isChild := stage.Isolate()
	if !isChild {
		os.Exit(code)
	}
	if text := os.Getenv("SCHEDULES"); text != "" {
		mode = text
	}
	if text := os.Getenv("SCHEDULES_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "8") // most of the time they wait for the kernel
	}
	if mode == "quick" {
		fmt.Printf("schedules: SCHEDULES_SEED=%d\n", seed)
	}
	begin := time.Now()
	code = m.Run()
	fmt.Printf("schedules: %d pairs, %d schedules, %d violations (%s, %v)\n",
		met.Load(), schedules.Load(), violations.Load(), mode, time.Since(begin).Round(time.Second))
	os.Exit(code)
}

// random is a source of its own for each pair, so that they can be run alone.
func random(name string) *rand.Rand {
	h := fnv.New64()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func TestPairs(t *testing.T) {
	t.Parallel()
	for _, p := range pairs {
		if foreign != "" && !p.known() {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			met.Add(1)
			if mode == "quick" {
				x := &explorer{room: newRoom(t, p), first: random(p.name).IntN(2)}
				x.explore()
				return
			}
			for first, v := range p.verbs {
				if first > 0 && p.alike {
					continue
				}
				t.Run(v.String()+" first", func(t *testing.T) {
					t.Parallel()
					begin := time.Now()
					defer func() { // a long run that is stopped has told how far it came
						fmt.Printf("schedules: %s, %s first: failed %t, %v; %d schedules so far\n", p.name, v, t.Failed(), time.Since(begin).Round(time.Second), schedules.Load())
					}()
					x := &explorer{room: newRoom(t, p), first: first}
					x.explore()
				})
			}
		})
	}
}
