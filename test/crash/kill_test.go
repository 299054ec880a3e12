package crash

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// act is one verb of one plugin of a network, ready to be hit.
type act struct {
	verb   string
	plugin int // in the order of ADD
}

func (a act) String() string { return fmt.Sprintf("%s of plugin %d", a.verb, a.plugin) }

// acts are all verbs of all plugins of the network, those that take longest first.
func (n network) acts() []act {
	var list []act
	for i := range n.plugins("") {
		for _, verb := range []string{"GC", "ADD", "DEL", "CHECK", "STATUS"} {
			list = append(list, act{verb, i})
		}
	}
	return list
}

// prepare brings the room to where the verb comes.
func (r *room) prepare(a act) {
	r.t.Helper()
	r.previous = nil // it may be of another container
	switch a.verb {
	case "ADD":
		r.want(r.addUntil(r.mine(), a.plugin), "prepare")
	case "CHECK", "GC":
		r.want(r.add(r.mine()), "prepare")
	case "DEL":
		r.want(r.add(r.mine()), "prepare")
		for i := len(r.list()) - 1; i > a.plugin; i-- {
			_, err := r.call("DEL", r.mine(), r.mine().complete(r.list()[i], r.previous))
			r.want(err, "prepare")
		}
	}
}

// perform runs the verb under the tracer.
func (r *room) perform(a act, run trace.Run) trace.Outcome {
	r.t.Helper()
	c := r.list()[a.plugin]
	mine := r.mine()
	switch a.verb {
	case "GC":
		return r.traced(a.verb, attachment{}, r.sweeping(c), run)
	case "STATUS":
		return r.traced(a.verb, attachment{}, mine.complete(c, nil), run)
	}
	return r.traced(a.verb, mine, mine.complete(c, r.previous), run)
}

// enough leaks of one verb tell what is wrong; each takes seconds of waiting.
const enough = 5

// complain reports a leak and starts anew, so that the next point is on its own.
func (r *room) complain(where string, format string, args ...any) {
	r.t.Helper()
	leaks.Add(1)
	r.t.Errorf("%s: %s: %s", r.net.name, where, fmt.Sprintf(format, args...))
	if r.leaks++; r.leaks == enough {
		r.t.Fatalf("%s: %d leaks: the other points are not visited", r.net.name, enough)
	}
	r.renew()
}

// TestKill ends each verb at each point and recovers in each way.
func TestKill(t *testing.T) {
	t.Parallel()
	eachAct(t, swept, func(r *room, a act) { r.sweep(a, trace.Tree) })
}

// TestKillAlone is TestKill for the plugin alone: the programs that it has started go on.
func TestKillAlone(t *testing.T) {
	t.Parallel()
	executing := slices.DeleteFunc(slices.Clone(swept), func(n network) bool { return !n.execs })
	eachAct(t, executing, func(r *room, a act) {
		if a.verb != "STATUS" {
			r.sweep(a, trace.Leader)
		}
	})
}

// eachAct goes through all verbs of the networks, each in a room of its own.
func eachAct(t *testing.T, networks []network, do func(*room, act)) {
	t.Helper()
	for _, n := range networks {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel() // else the next network would wait for the last of its verbs
			for _, a := range n.acts() {
				t.Run(a.String(), func(t *testing.T) {
					t.Parallel()
					r := newRoom(t, n)
					do(r, a)
					t.Logf("%s %s: %v", n.name, a, &r.clock)
				})
			}
		})
	}
}

// sweep visits the points. From a state that was not seen before it recovers in each
// way, from the others in one after the other: the same state has the same future.
func (r *room) sweep(a act, who trace.Victim) {
	r.t.Helper()
	turn := 0
	var calls []trace.Effect
	if every == 1 && only == 0 && call == "" {
		calls = r.calls(a)
	}
	for n := first(); ; n += every {
		if trace.Same(calls, n, who) {
			continue
		}
		where := fmt.Sprintf("%s killed (%s) at %d", a, who, n)
		one := every > 1 // recovery from this state; else all
		for kind := 0; kind < len(recoveryKinds); kind++ {
			r.prepare(a)
			attached, still := r.previous, a.verb == "CHECK" || a.verb == "STATUS"
			if still && r.calm == nil {
				r.calm = r.settled()
			}
			out := r.perform(a, trace.Run{At: n, Kill: who})
			if !out.Hit {
				r.finish(a, out)
				return
			}
			if !wanted(out.Effects[n-1]) {
				r.reset(a, out.Stdout)
				break
			}
			if kind == 0 {
				points.Add(1)
				where += " (" + out.Effects[n-1].String() + ")"
				if every == 1 {
					one = r.future(r.fingerprint(), "each way, ", who, a.verb != "ADD").taken()
				}
			}
			if still {
				if diff := snapshot.Diff(r.calm, r.state()); len(diff) > 0 {
					r.complain(where, "it changes something: %s", shownLeft(diff))
					break
				}
			}
			if a.verb == "ADD" {
				attached = nil // a runtime that got no result can't hand it back
			}
			if one {
				kind = turn % len(recoveryKinds)
				turn++
			}
			r.recover(where, recoveryKinds[kind], attached, who)
			if one {
				break
			}
		}
		if last(n) {
			return
		}
	}
}

// finish is after the last point: the verb has worked.
func (r *room) finish(a act, out trace.Outcome) {
	r.t.Helper()
	if out.Exit != 0 {
		r.t.Fatalf("%s: %s: %s%s", r.net.name, a, out.Stdout, out.Stderr)
	}
	if os.Getenv("CRASH_LIST") != "" {
		for i, e := range out.Effects {
			r.t.Logf("%s %s %d: %s", r.net.name, a, i+1, e)
		}
	}
	r.recover("after "+a.String(), recoveryKinds[0], r.previous, trace.Nobody)
}

// recover wants everything back, a second time changes nothing, and others can go on. A
// plugin that was killed alone may have left programs that are not in a fingerprint.
func (r *room) recover(where string, how recovery, previous json.RawMessage, who trace.Victim) {
	r.t.Helper()
	recoveries.Add(1)
	where += ", then " + how.name
	if err := how.do(r, previous); err != nil {
		r.complain(where, "%v", err)
		return
	}
	if strings.HasPrefix(how.name, "reboot") {
		r.renew()
		return
	}
	if r.net.cold {
		if err := r.gc(); err != nil {
			r.complain(where, "GC: %v", err)
			return
		}
	}
	diff, end := r.differs(r.before)
	if len(diff) > 0 {
		r.complain(where, "%s", shownLeft(diff))
		return
	}
	next := r.future(end, how.name, previous != nil)
	if next.fine() && who != trace.Leader {
		return
	}
	if err := how.again(r, previous); err != nil {
		r.complain(where, "once more: %v", err)
		return
	}
	if err := r.another(); err != nil {
		r.complain(where, "then another container: %v", err)
		return
	}
	next.came()
}

// again is the recovery once more, less an ADD. With a namespace gone it is gone the
// second time, too, which DEL without one is.
func (how recovery) again(r *room, previous json.RawMessage) error {
	switch {
	case strings.HasPrefix(how.name, "netns gone"):
		how = recoveryKinds[1]
	case strings.HasPrefix(how.name, "ADD"):
		how = recoveryKinds[0]
	}
	return how.do(r, previous)
}

// another container comes and goes.
func (r *room) another() error {
	a := attachment{id: "another", netns: r.box.Path, index: 3}
	if err := r.add(a); err != nil {
		return err
	}
	if err := r.check(a); err != nil {
		return err
	}
	if err := r.del(a, r.previous); err != nil {
		return err
	}
	if r.net.cold {
		if err := r.gc(); err != nil {
			return err
		}
	}
	if diff, _ := r.differs(r.before); len(diff) > 0 {
		return fmt.Errorf("%s", shownLeft(diff))
	}
	return nil
}

// shownLeft is a difference from what should be there.
func shownLeft(diff []string) string { return "left behind, or lost:\n" + snapshot.Shown(diff) }
