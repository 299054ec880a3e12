// Package swarm is about many: processes at one lock, containers at one bridge,
// leases in one directory.
package swarm

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// holdVariable makes the program hold the lock of that path until it is killed.
const holdVariable = "SWARM_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdVariable); path != "" {
		hold(path)
	}
	code, isChild := stage.Isolate()
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
	ours := stage.Plugins(t, "bridge", "portmap", "host-local")
	reference := stage.Reference(t, "bridge", "portmap", "host-local")
	t.Run("a stopped lock holder", func(t *testing.T) {
		t.Parallel()
		testStoppedHolder(t, ours)
	})
	t.Run("many", func(t *testing.T) {
		t.Parallel()
		t.Run("leases", func(t *testing.T) { testLeases(t, ours, reference) })
		t.Run("attachments", func(t *testing.T) { testAttachments(t) })
		t.Run("first attachments", func(t *testing.T) { testFirst(t) })
		t.Run("GC beside first attachments", func(t *testing.T) { testRetired(t) })
		t.Run("cost", func(t *testing.T) { testCost(t, ours) })
	})
}

// call is one run of host-local, which needs no namespace.
type call struct {
	command, id string
	config      []byte
	wrap        []string // a program and its arguments to run it under
}

// run returns what host-local wrote to stdout. It goes through files: a pipe stays open
// for as long as any process that is just about to start has a copy of it, and among
// 200 that takes seconds.
func (c call) run(bin, dir string) (stdout []byte, err error) {
	name := filepath.Join(dir, c.id+"."+c.command)
	if err := os.WriteFile(name+".in", c.config, 0o600); err != nil {
		return nil, err
	}
	in, err := os.Open(name + ".in")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out, err := os.Create(name + ".out")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	argv := append(slices.Clone(c.wrap), filepath.Join(bin, "host-local"))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, out
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+c.command, "CNI_CONTAINERID="+c.id, "CNI_NETNS=/none", "CNI_IFNAME=eth0", "CNI_PATH="+bin)
	err = cmd.Run()
	stdout, rerr := os.ReadFile(name + ".out")
	return stdout, errors.Join(err, rerr)
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
