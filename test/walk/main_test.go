// Package walk takes a long random way through what runtimes do with the plugins:
// attach, detach, check, collect, with changing networks, lost namespaces and calls
// that lack things. After each step the promises must hold, and at the end nothing
// may be left. WALK_SEED repeats a walk, WALK_STEPS changes its length.
package walk

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

func TestMain(m *testing.M) {
	code, isChild := lab.Isolate()
	if isChild {
		code = m.Run()
	}
	os.Exit(code)
}

// binaries is the directory of the plugins under test.
func binaries(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("BRIDGEPORT_BIN")
	if dir == "" {
		dir = filepath.Join("..", "..", "bin")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"bridge", "portmap", "host-local"} {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			t.Fatalf("%s is missing in %s: run `make build`, or set BRIDGEPORT_BIN", p, dir)
		}
	}
	return dir
}

// number is an environment variable, or the default.
func number(t *testing.T, variable string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

func TestWalk(t *testing.T) {
	seed := number(t, "WALK_SEED", uint64(time.Now().UnixNano())%1_000_000)
	steps := int(number(t, "WALK_STEPS", 300/uint64(min(slow(), 3))))
	fmt.Printf("walk: WALK_SEED=%d WALK_STEPS=%d\n", seed, steps)
	w := newWorld(t, rand.New(rand.NewPCG(seed, 0)))
	before := w.settled()
	for i := 1; i <= steps; i++ {
		w.step(i)
		w.expectPromises()
		if i%20 == 0 {
			w.probeAll()
		}
	}
	w.probeAll()
	w.leave()
	w.expectEqual(before)
	fmt.Printf("walk: %d steps:%s\n", steps, w.counts())
}

// slow is how many times longer than on a usual machine everything takes, on an
// emulated one.
func slow() time.Duration {
	n, err := strconv.Atoi(os.Getenv("BRIDGEPORT_SLOW"))
	if err != nil || n < 1 {
		return 1
	}
	return time.Duration(n)
}
