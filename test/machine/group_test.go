package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// TestGroup is ADD and DEL in a control group with little memory, and in one with few processes:
// the kernel kills the process for memory, and refuses it threads. Either verb works, or DEL
// without the limit frees everything.
func TestGroup(t *testing.T) {
	t.Parallel()
	r := newRoom(t, networks[0])
	for _, l := range []struct {
		controller, v1, v2 string
		values             []int
	}{
		{"memory", "memory.limit_in_bytes", "memory.max", some([]int{1 << 20, 1100 << 10, 1200 << 10, 1300 << 10, 1400 << 10, 1500 << 10, 1600 << 10, 1800 << 10, 2 << 20, 4 << 20, 8 << 20}, 2)},
		{"pids", "pids.max", "pids.max", some([]int{1, 2, 3, 4, 5, 6, 8}, 2)},
	} {
		for _, value := range l.values {
			name := fmt.Sprintf("bridgeport-machine-%d-%d", r.Host.Ino(), value)
			group, file := newGroup(t, name, l.controller, l.v1, l.v2)
			r.Must(os.WriteFile(file, fmt.Append(nil, value), 0o644))
			for _, verb := range []string{"ADD", "DEL"} {
				r.grouped(fmt.Sprint(l.controller, " ", value), group, verb)
			}
		}
	}
}

func (r *room) grouped(where, group, verb string) {
	r.Helper()
	var previous []byte
	if verb == "DEL" {
		previous = r.attach(r.box, 2, nil)
		r.calm(r.call("DEL", 1, r.box, 2, previous))
	}
	answer, _, err := r.under(limits{Group: filepath.Join(group, "cgroup.procs")}, r.call(verb, 0, r.box, 2, previous))
	switch {
	case err != nil || answer.Exit == notLimited || answer.Exit == 1:
		r.t.Errorf("%s, %s: %v, exit %d %s%s", where, verb, err, answer.Exit, answer.Stdout, answer.Stderr)
	case answer.Exit == 0:
		worked.Add(1)
	default:
		died.Add(1)
	}
	if testing.Verbose() {
		r.t.Logf("%s, %s: exit %d %.80s", where, verb, answer.Exit, answer.Stderr)
	}
	r.detach(r.box, 2, previous)
	r.Must(r.differs(r.before))
}

// newGroup makes a control group that goes with the test, and returns the file of its limit. Of the
// machine's groups only this one is used.
func newGroup(t *testing.T, group, controller, v1, v2 string) (dir, file string) {
	t.Helper()
	const root = "/sys/fs/cgroup"
	base, name := filepath.Join(root, controller), v1
	if _, err := os.Stat(base); err != nil {
		base, name = root, v2
	}
	dir = filepath.Join(base, group)
	if err := os.MkdirAll(dir, 0o755); err != nil { // a run that was killed may have left it
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := unix.Rmdir(dir)
		for end := time.Now().Add(stage.Patience); errors.Is(err, unix.EBUSY) && time.Now().Before(end); err = unix.Rmdir(dir) {
			time.Sleep(10 * time.Millisecond) // the kernel counts the killed for a moment
		}
		if err != nil {
			t.Error(dir, ": ", err)
		}
	})
	file = filepath.Join(dir, name)
	if _, err := os.Stat(file); err != nil {
		controllers, _ := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
		stage.Missing(t, "control group "+controller+" among "+strings.TrimSpace(string(controllers)))
	}
	return dir, file
}
