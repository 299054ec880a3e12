package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

func addr4(index int) string { return fmt.Sprintf("10.66.0.%d", 10+index) }
func addr6(index int) string { return fmt.Sprintf("fd66::%d", 10+index) }

// room is a host with a network, a neighbour that must not notice anything, and a
// container under test. It is used again for as long as nothing is wrong with it.
type room struct {
	*stage.Stage
	t         *testing.T
	net       network
	box       *stage.Space
	neighbour *stage.Space // nil in a cold network
	spaces    int
	before    snapshot.Snapshot
	calm      snapshot.Snapshot // with the container, before a verb that changes nothing
	previous  json.RawMessage   // of the container's ADD
	leaks     int
	clock     clock
}

// future is what is to come about from a state of a network. Once is enough, whichever room
// it was in: the same state has the same future.
type future struct {
	network string
	from    fingerprint
	what    string
}

var known sync.Map // what has come about, by future

func (r *room) future(from fingerprint, what ...any) future {
	return future{r.net.name, from, fmt.Sprint(what...)}
}

func (f future) fine() bool { _, ok := known.Load(f); return ok }

func (f future) came() { known.Store(f, true) }

// taken says whether another room has seen to it, or is about to; if none has, this one is.
func (f future) taken() bool { _, is := known.LoadOrStore(f, true); return is }

const tries = 3 * time.Second

// newRoom makes the host and its neighbour.
func newRoom(t *testing.T, n network) *room {
	t.Helper()
	r := &room{Stage: stage.Bare(t), t: t, net: n}
	r.Must(os.MkdirAll(r.Data(), 0o755))
	if n.name == "exec ipam" {
		r.Bin = withAnotherLocal(t, r.Bin)
	}
	r.furnish()
	return r
}

// withAnotherLocal has the plugins and, under a name that is not run in process, ours.
func withAnotherLocal(t *testing.T, bin string) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range []string{"bridge", "portmap", "host-local"} {
		if err := os.Symlink(filepath.Join(bin, p), filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	script := "#!/bin/sh\nexec " + filepath.Join(bin, "host-local") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "another-local"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// space makes one with a name that none had before it.
func (r *room) space(name string) *stage.Space {
	r.Helper()
	r.spaces++
	return r.QuietSpace(fmt.Sprint(name, r.spaces))
}

func (r *room) furnish() {
	r.t.Helper()
	r.box, r.previous, r.calm = r.space("box"), nil, nil
	if !r.net.cold {
		r.neighbour = r.space("next")
		a := attachment{id: "neighbour", netns: r.neighbour.Path, index: 1}
		r.want(r.add(a), "ADD of the neighbour")
	}
	// What is shared has what the container brings about only: a port, its last address.
	a := r.mine()
	if !r.net.cold {
		r.want(r.add(a), "first ADD")
		r.want(r.del(a, r.previous), "first DEL")
	}
	r.before = r.settled()
}

// renew ends everything, and furnishes the room anew.
func (r *room) renew() {
	r.Helper()
	for _, s := range []*stage.Space{r.Host, r.box, r.neighbour} {
		if s != nil {
			r.want(s.Close(), "end a namespace")
		}
	}
	r.neighbour = nil
	r.want(errors.Join(os.RemoveAll(r.Data()), os.MkdirAll(r.Data(), 0o755)), "clear the leases")
	r.Host = r.space("host")
	r.furnish()
}

// want is for what is not under test.
func (r *room) want(err error, what string) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%s: %s: %v", r.net.name, what, err)
	}
}

func (r *room) mine() attachment {
	return attachment{id: "mine", netns: r.box.Path, index: 2}
}

func (r *room) list() []stage.Conf { return r.net.plugins(r.Data()) }

// calling is one call of one plugin.
func calling(verb string, a attachment, c stage.Conf) stage.Call {
	return stage.Call{Plugin: c.Plugin(), Command: verb, ContainerID: a.id, Netns: a.netns, IfName: "eth0", Config: c.Stdin()}
}

// call runs one plugin.
func (r *room) call(verb string, a attachment, c stage.Conf) ([]byte, error) {
	defer r.clock.took("calls")()
	answer, err := r.Host.CNI(r.Bin, calling(verb, a, c))
	if err == nil && answer.Exit != 0 {
		err = fmt.Errorf("%s %s: %s%s", c.Plugin(), verb, answer.Stdout, answer.Stderr)
	}
	return answer.Stdout, err
}

// traced is call under the tracer.
func (r *room) traced(verb string, a attachment, c stage.Conf, run trace.Run) trace.Outcome {
	r.Helper()
	run.Path, run.Stdin, run.Env = filepath.Join(r.Bin, c.Plugin()), c.Stdin(), calling(verb, a, c).Environ(r.Bin)
	defer r.clock.took("traced runs")()
	run.Filter = run.Kill != trace.Leader
	var out trace.Outcome
	r.want(r.Host.Do(func() (err error) {
		out, err = run.Do()
		return err
	}), fmt.Sprintf("%s %s, hit at %d (%v, %v)", c.Plugin(), verb, run.At, run.Kill, run.Errno))
	return out
}

// add is ADD of each plugin; what the last one says becomes previous.
func (r *room) add(a attachment) error { return r.addUntil(a, len(r.list())) }

func (r *room) addUntil(a attachment, n int) error {
	r.previous = nil
	for _, c := range r.list()[:n] {
		out, err := r.call("ADD", a, a.complete(c, r.previous))
		if err != nil {
			return err
		}
		r.previous = out
	}
	return nil
}

// backwards calls each plugin, last first; it stops where one fails, as libcni does.
func (r *room) backwards(verb string, a attachment, change func(stage.Conf) stage.Conf) error {
	for _, c := range slices.Backward(r.list()) {
		if _, err := r.call(verb, a, change(c)); err != nil {
			return err
		}
	}
	return nil
}

func (r *room) del(a attachment, previous json.RawMessage) error {
	return r.backwards("DEL", a, func(c stage.Conf) stage.Conf { return a.complete(c, previous) })
}

func (r *room) check(a attachment) error {
	for _, c := range r.list() {
		if _, err := r.call("CHECK", a, a.complete(c, r.previous)); err != nil {
			return err
		}
	}
	return nil
}

// gc keeps the neighbour and those given.
func (r *room) gc(keep ...attachment) error {
	for _, c := range r.list() {
		if _, err := r.call("GC", attachment{}, r.sweeping(c, keep...)); err != nil {
			return err
		}
	}
	return nil
}

func (r *room) sweeping(c stage.Conf, keep ...attachment) stage.Conf {
	if r.neighbour != nil {
		keep = append(keep, attachment{id: "neighbour"})
	}
	return attachment{}.complete(c, nil).With(stage.Conf{"runtimeConfig": nil, "cni.dev/valid-attachments": valid(keep...)})
}

// leave ends the container's namespace and makes another container of the same name.
func (r *room) leave() (path string) {
	r.t.Helper()
	path = r.box.Path
	r.want(r.box.Close(), "end the container")
	r.box = r.space("box")
	return path
}
