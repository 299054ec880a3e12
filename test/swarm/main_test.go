// Package swarm is about many: processes at one lock, containers at one bridge,
// leases in one directory.
package swarm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// holdVariable makes the program hold the lock of that path until it is killed.
const holdVariable = "SWARM_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdVariable); path != "" {
		hold(path)
	}
	code, isChild := lab.Isolate()
	if isChild {
		code = m.Run()
	}
	os.Exit(code)
}

// hold takes the lock, says so, and sleeps.
func hold(path string) {
	f, err := os.Open(path)
	if err == nil {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	fmt.Println("held:", err)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // nobody writes: until the end
	os.Exit(0)
}

// TestSwarm has two parts that go on at the same time, since one of them only waits.
func TestSwarm(t *testing.T) {
	ours := directory(t, "BRIDGEPORT_BIN", "bin", "make build")
	reference := directory(t, "REFERENCE_BIN", "bin/reference", "make reference")
	t.Run("a stopped lock holder", func(t *testing.T) {
		t.Parallel()
		testStoppedHolder(t, ours)
	})
	t.Run("many", func(t *testing.T) {
		t.Parallel()
		t.Run("leases", func(t *testing.T) { testLeases(t, ours, reference) })
		t.Run("attachments", func(t *testing.T) { testAttachments(t, ours) })
		t.Run("cost", func(t *testing.T) { testCost(t, ours) })
	})
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
	for _, p := range []string{"bridge", "portmap", "host-local"} {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			t.Fatalf("%s is missing in %s: run `%s`, or set %s", p, dir, target, variable)
		}
	}
	return dir
}

func space(t *testing.T, name string) *lab.Space {
	t.Helper()
	s, err := lab.NewSpace(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// encode is for values of this package, which JSON can hold.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

type object = map[string]any

// hostLocal is a configuration of host-local alone, or below a bridge.
func hostLocal(dataDir, subnet string) object {
	return object{"type": "host-local", "dataDir": dataDir, "ranges": [][]object{{{"subnet": subnet}}}}
}

// all runs do for 0 to n-1, each in a goroutine of its own that starts when all are
// there.
func all(n int, do func(i int)) {
	var start, wait sync.WaitGroup
	start.Add(n)
	for i := range n {
		wait.Go(func() {
			start.Done()
			start.Wait()
			do(i)
		})
	}
	wait.Wait()
}

func decode(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
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
