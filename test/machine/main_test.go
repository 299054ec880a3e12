// Package machine runs each verb of the plugins on a machine that is at fault: a disk that is
// full or broken, limits of a process, a /proc that is missing, calls that a runtime forbids. Each
// verb says clearly what is wrong, or works; nothing is lost; and when the fault is over DEL frees
// everything. A fault holds for the plugin's process alone, or for the directory of leases.
// MACHINE=all goes through all values of all faults in each network.
package machine

import (
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// What the last line says.
var worked, refused, died atomic.Int64

// all says whether nothing is left out.
var all = os.Getenv("MACHINE") == "all"

func TestMain(m *testing.M) {
	if os.Getenv(limitsMark) != "" {
		os.Exit(become())
	}
	stage.Main(func() int {
		// Most of the time goes by waiting for the kernel, or for a lock.
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
		code := m.Run()
		fmt.Printf("machine: %d verbs under a fault worked, %d were refused, %d died with Go's runtime or by the kernel\n", worked.Load(), refused.Load(), died.Load())
		return code
	})
}
