// Package differential gives the same configurations to the reference's bridge and
// host-local and to ours, in twin namespaces, and compares what comes of them: the
// answers, the containers, the host, the lease files. Differences that are meant
// are listed in differences.txt with their reasons; any other is a failure.
// DIFFERENTIAL_ONLY runs a part, BRIDGEPORT_SLOW one that suits slow machines.
package differential

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// summary is the last line of a run.
var summary string

func TestMain(m *testing.M) {
	code, isChild := lab.Isolate()
	if isChild {
		code = m.Run()
		fmt.Print(summary)
	}
	os.Exit(code)
}

// directory finds built programs: where the variable says, else below the
// repository. Without them the test fails; it must not pass by testing nothing.
func directory(t *testing.T, variable, below, target string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		dir = filepath.Join("..", "..", below)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"bridge", "host-local"} {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			t.Fatal(fmt.Errorf("%s is missing in %s: run `%s`, or set %s", p, dir, target, variable))
		}
	}
	return dir
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
