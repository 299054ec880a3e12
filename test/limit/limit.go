// Package limit bounds what one input of a fuzz test may cost.
package limit

import (
	"runtime/metrics"
	"testing"
	"time"
)

const (
	memory = 64 << 20         // bytes
	hang   = 20 * time.Second // far above anything but a hang, also on a busy machine
)

// Cost fails the test where what happens until the returned function is called allocates
// more than 64 MB in all, or hangs: defer limit.Cost(t)()
func Cost(t *testing.T) func() {
	before, start := allocated(), time.Now()
	return func() {
		t.Helper()
		if n := allocated() - before; n > memory {
			t.Errorf("one input cost %d MB of memory", n>>20)
		}
		if d := time.Since(start); d > hang {
			t.Errorf("one input took %v", d)
		}
	}
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
