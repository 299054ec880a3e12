// Package differential gives the same configurations to the reference's bridge and
// host-local and to ours, in twin namespaces, and compares what comes of them: the
// answers, the containers, the host, the lease files. Differences that are meant
// are listed in differences.txt with their reasons; any other is a failure.
// DIFFERENTIAL_ONLY runs a part, BRIDGEPORT_SLOW one that suits slow machines.
package differential

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// summary is the last line of a run.
var summary string

// atOnce is how many configurations run at the same time: most of the time goes into
// the reference's sleeps and the kernel's waits.
const atOnce = "6"

func TestMain(m *testing.M) {
	code, isChild := stage.Isolate()
	if isChild {
		flag.Parse()
		if err := flag.Set("test.parallel", atOnce); err != nil {
			panic(err)
		}
		code = m.Run()
		fmt.Print(summary)
	}
	os.Exit(code)
}
