// Package crash kills the plugins at every system call that changes something, lets
// each such call fail, and damages what is on disk as a power cut would. Whatever was
// left must be taken back by whatever a runtime does next. CRASH=all visits every
// point of every network; otherwise it is every fifth of "one" and "host-local", from one
// that CRASH_SEED chooses; CRASH_AT is the number of a single point,
// CRASH_CALL a part of the text of the calls to visit.
package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// What the last line says.
var points, recoveries, leaks atomic.Int64

// seed chooses where a quick run begins.
var seed = uint64(time.Now().UnixNano()) % 1_000_000

// every is the distance between two points; only, if not 0, the one point to visit.
var every, only = 5, 0

func TestMain(m *testing.M) {
	code, isChild := stage.Isolate()
	if !isChild {
		os.Exit(code)
	}
	if os.Getenv("CRASH") == "all" {
		every = 1
	}
	seed = number("CRASH_SEED", seed)
	if only = int(number("CRASH_AT", 0)); only > 0 || call != "" {
		every = 1
	}
	if every > 1 {
		fmt.Printf("crash: CRASH_SEED=%d\n", seed)
		swept = slices.DeleteFunc(slices.Clone(networks), func(n network) bool { return n.name != "one" && n.name != "host-local" })
	}
	code = m.Run()
	fmt.Printf("crash: %d points, %d recoveries, %d leaks, %s\n", points.Load(), recoveries.Load(), leaks.Load(), lasted())
	if (only > 0 || call != "") && points.Load() == 0 {
		fmt.Println("crash: FAIL: no verb has such a call")
		code = 1
	}
	os.Exit(code)
}

// swept are the networks whose verbs are killed and failed at each point.
var swept = networks

// number is an environment variable, or the default.
func number(variable string, standard uint64) uint64 {
	text := os.Getenv(variable)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", variable, err)
		os.Exit(2)
	}
	return n
}

// call is a part of the call's text, to visit only such calls; "" for all.
var call = os.Getenv("CRASH_CALL")

// wanted says whether a point is to be visited.
func wanted(e trace.Effect) bool { return strings.Contains(e.String(), call) }

// first is where a run begins.
func first() int {
	if only > 0 {
		return only
	}
	return 1 + random().IntN(every)
}

// last says whether a run is over after this point.
func last(n int) bool { return n == only }

// random is a source of its own for each test, so that they can be run alone.
func random() *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }
