package crash

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// TestErrno lets each call of each verb fail once, with each errno that it may give: the verb says what
// failed, and a failed ADD leaves nothing; or it has truly succeeded.
func TestErrno(t *testing.T) {
	t.Parallel()
	eachAct(t, swept, (*room).failAll)
}

// failAll goes through points and errnos; a quick run takes one errno for each point.
func (r *room) failAll(a act) {
	r.t.Helper()
	r.prepare(a)
	is := sound{start: r.state(), ready: r.fingerprint(), paths: make(map[string]bool)}
	done := r.perform(a, trace.Run{Apart: byXtables})
	r.want(told(done), a.String())
	is.end = r.state()
	r.reset(a, done.Stdout)
	choose := random()
	step, ready := every, false
	if every > 1 {
		step = 2 * every // each point costs as much as a kill, and there are as many
	}
	for n := first(); n <= len(done.Effects); n += step {
		e := done.Effects[n-1]
		if _, known := errnos[e.Name]; !known {
			r.t.Fatalf("%s: nothing says how %s may fail", a, e)
		}
		list := possible(a, n, e)
		if !wanted(e) || len(list) == 0 {
			continue
		}
		points.Add(1)
		if every > 1 {
			list = list[choose.IntN(len(list)):][:1]
		}
		for _, errno := range list {
			ready = r.failOne(a, n, errno, is, ready)
		}
		if last(n) {
			return
		}
	}
}

// byXtables are calls of the iptables programs (xtables-nft-multi and xtables-legacy-multi). They do not
// report all failures, which then are not ours to see; and how many they make depends on what they find.
func byXtables(e trace.Effect) bool { return strings.HasPrefix(e.Program, "xtables-") }

// sound is what a verb finds, and what it makes of it when nothing fails.
type sound struct {
	start, end snapshot.Snapshot
	ready      fingerprint     // of start
	paths      map[string]bool // what was honest once, as path has it
}

var pipes = regexp.MustCompile(`pipe:\[\d+\]`)

// path is what the verb did after its call n had failed: the same calls make the same of the same
// state, whichever errno it was.
func path(n int, out trace.Outcome) string {
	return pipes.ReplaceAllString(fmt.Sprint(n, out.Exit, len(out.Stdout) > 0, out.After), "pipe")
}

// failOne returns whether the room is ready for the verb again, as nothing has changed.
func (r *room) failOne(a act, n int, errno unix.Errno, is sound, ready bool) bool {
	r.t.Helper()
	if !ready {
		r.prepare(a)
	}
	// What the run before had in this place may come sooner or later in this one.
	out := r.perform(a, trace.Run{At: n, Errno: errno, Apart: byXtables, Spare: func(e trace.Effect) bool { return !slices.Contains(possible(a, n, e), errno) }})
	if !out.Hit {
		r.reset(a, out.Stdout)
		return false
	}
	where := fmt.Sprintf("%s, %s at %d (%s)", a, unix.ErrnoName(errno), n, out.Effects[n-1])
	recoveries.Add(1)
	back := r.future(is.ready, "DEL, exit ", out.Exit)
	switch same := is.paths[path(n, out)]; {
	case out.Exit != 0 && named(out) != nil: // honest says it
	case !out.Changed && back.fine() && (out.Exit != 0 || a.verb == "CHECK" || a.verb == "STATUS"):
		return true
	case same:
		r.takeBack(a, out)
		return false
	}
	now, err := r.honest(a, out, out.Effects[n-1], is)
	if err != nil {
		r.complain(where, "%v", err)
		return false
	}
	next := r.future(now, "DEL, exit ", out.Exit)
	if next.fine() && now == is.ready {
		return true
	}
	r.takeBack(a, out)
	is.paths[path(n, out)] = true
	if next.fine() {
		return false
	}
	if diff, _ := r.differs(r.before); len(diff) > 0 {
		r.complain(where, "exit %d (%s), and after DEL: %s", out.Exit, out.Stdout, shownLeft(diff))
		return false
	}
	next.came()
	return false
}

// honest is nil if the verb has truly succeeded, or says what failed and has changed
// nothing; with the state where it was looked at.
func (r *room) honest(a act, out trace.Outcome, failed trace.Effect, is sound) (fingerprint, error) {
	r.t.Helper()
	if out.Exit == 0 {
		var but []string
		if strings.Contains(failed.String(), "/.lease") && strings.Contains(failed.String(), "unlink") {
			but = []string{"/.lease:"} // the temporary file that could not be removed: the next ADD or DEL does
		}
		diff, now := r.differs(is.end, but...)
		if len(diff) > 0 {
			return now, fmt.Errorf("false success: %s", shownLeft(diff))
		}
		return now, nil
	}
	if err := named(out); err != nil {
		return fingerprint{}, err
	}
	// What is shared stays after a failed ADD; what DEL and GC have done is done.
	if a.verb == "CHECK" || a.verb == "STATUS" || a.verb == "ADD" && !r.net.cold {
		diff, now := r.differs(is.start)
		if len(diff) > 0 {
			return now, fmt.Errorf("failed (%s), but %s", out.Stdout, shownLeft(diff))
		}
		return now, nil
	}
	return r.fingerprint(), nil
}

func (r *room) takeBack(a act, out trace.Outcome) {
	r.t.Helper()
	r.reset(a, out.Stdout)
	if r.net.cold {
		r.want(r.gc(), "GC")
	}
}

// reset takes back what there is.
func (r *room) reset(a act, result []byte) {
	r.t.Helper()
	previous := r.previous
	if a.verb == "ADD" && json.Valid(result) && !strings.Contains(string(result), `"code"`) {
		previous = result
	}
	r.want(r.del(r.mine(), previous), "DEL after "+a.String())
}

// told is nil for a verb that worked.
func told(out trace.Outcome) error {
	if out.Exit == 0 {
		return nil
	}
	return fmt.Errorf("exit %d: %s%s", out.Exit, out.Stdout, out.Stderr)
}

// named wants an error that a person can use: a code, and which step failed.
func named(out trace.Outcome) error {
	var e types.Error
	last := out.Effects[len(out.Effects)-1]
	if strings.HasPrefix(last.Detail, "/memfd:trace") {
		return nil // nobody was there to be told
	}
	if err := json.Unmarshal(out.Stdout, &e); err != nil {
		return fmt.Errorf("exit %d without an error object: %s%s", out.Exit, out.Stdout, out.Stderr)
	}
	if e.Code == 0 || !strings.Contains(e.Msg, ": ") || strings.Contains(e.Msg, "bug:") {
		return fmt.Errorf("the error does not name the step: %s", out.Stdout)
	}
	return nil
}
