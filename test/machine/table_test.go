package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// limit is how long a verb under a fault may take: no fault of the table lets it wait.
var limit = stage.Slow() * 10 * time.Second

// TestFaults is the table: each fault, each verb of each plugin, each network.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, n := range networks {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, n)
			for i, p := range n.plugins {
				// What ADD was refused for, STATUS has to tell.
				stopped := make(map[string]bool)
				for _, verb := range []string{"ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"} {
					if verb != "VERSION" || i == 0 {
						r.cells(act{verb, i, p.Plugin()}, stopped)
					}
				}
			}
			r.calm(r.call("CHECK", 0, r.next, 1, r.nexts))
		})
	}
}

// act is a verb of one plugin of the network.
type act struct {
	verb   string
	plugin int
	name   string
}

func (a act) String() string { return a.name + " " + a.verb }

// looks says whether the verb must change nothing, whatever it answers.
func (a act) looks() bool { return a.verb == "CHECK" || a.verb == "STATUS" || a.verb == "VERSION" }

// changes says whether the verb may have done a part when it is refused.
func (a act) changes() bool { return a.verb == "DEL" || a.verb == "GC" }

// states are what a verb finds, and what it leaves without a fault.
type states struct{ ready, end snapshot.Snapshot }

// cells goes through all faults of a verb.
func (r *room) cells(a act, stopped map[string]bool) {
	r.Helper()
	is, previous := states{}, r.prepare(a)
	is.ready = r.settled()
	r.calm(r.call(a.verb, a.plugin, r.box, 2, previous))
	is.end = r.settled()
	ready := false
	for _, f := range faults() {
		if !r.meets(a, f) {
			continue
		}
		if !ready {
			r.detach(r.box, 2, previous)
			r.Must(r.differs(r.before))
			previous = r.prepare(a)
		}
		answer, took, err := f.run(r, r.call(a.verb, a.plugin, r.box, 2, previous))
		if err == nil {
			ready, err = r.judge(f, a, answer, took, is)
		}
		switch {
		case a.verb == "ADD":
			stopped[f.name] = answer.Exit == 1
		case a.verb == "STATUS" && a.plugin == 0 && err == nil && answer.Exit == 0 && stopped[f.name] && f.lasting:
			err = errors.New("nothing wrong, but ADD is refused")
		}
		if err != nil {
			r.t.Errorf("%s, %s, %s: %v: exit %d %s%s", r.net.name, a, f.name, err, answer.Exit, answer.Stdout, answer.Stderr)
			ready = false
		}
		if testing.Verbose() {
			r.t.Logf("%s, %s, %s: exit %d, %v %s %.100s", r.net.name, a, f.name, answer.Exit, took.Round(time.Millisecond), message(answer), answer.Stderr)
		}
	}
	if a.looks() {
		if err := r.differs(is.ready); err != nil {
			r.t.Errorf("%s, %s, under all faults: %v", r.net.name, a, err)
		}
	}
	r.detach(r.box, 2, previous)
	r.Must(r.differs(r.before))
}

// meets says whether the verb can meet the fault at all, and is to in this run.
func (r *room) meets(a act, f fault) bool {
	if a.name == "portmap" && (f.kind == "disk" || f.kind == "leases") {
		return false // it has no leases
	}
	return all || r.net.quick == nil || slices.Contains(r.net.quick, f.kind)
}

// prepare makes what the verb finds, and returns the result to hand over.
func (r *room) prepare(a act) []byte {
	r.Helper()
	if a.verb == "ADD" {
		return r.attachUntil(a.plugin, r.box, 2, nil)
	}
	previous := r.attach(r.box, 2, nil)
	if a.verb == "DEL" {
		for i := len(r.net.plugins) - 1; i > a.plugin; i-- {
			r.calm(r.call("DEL", i, r.box, 2, previous))
		}
	}
	return previous
}

// dump is how Go's runtime ends a process.
var dump = regexp.MustCompile(`(?m)^(goroutine \d+|fatal error:|panic:|runtime: |SIG[A-Z]+:)`)

// judge returns whether everything is as the verb has found it.
func (r *room) judge(f fault, a act, answer stage.Answer, took time.Duration, is states) (ready bool, err error) {
	now := is.ready
	if all || !a.looks() { // in a quick run one look after the row is enough
		now, err = r.state()
		r.Must(err)
	}
	ready = len(snapshot.Diff(is.ready, now)) == 0
	switch {
	case took > limit:
		return false, fmt.Errorf("it took %v", took)
	case answer.Exit == notLimited:
		return false, errors.New("the limits could not be put in force")
	case answer.Exit != 0 && answer.Exit != 1 || dump.Match(answer.Stderr):
		if !f.dies {
			return false, errors.New("it crashed")
		}
		died.Add(1)
		return ready, nil // DEL takes back what there is
	case answer.Exit == 0:
		worked.Add(1)
		if answer.Result == nil && a.verb == "ADD" || a.verb == "VERSION" && !json.Valid(answer.Stdout) {
			return false, errors.New("no result")
		}
		if f.otherwise || len(snapshot.Diff(is.end, now)) == 0 {
			return ready, nil
		}
		if err := r.differs(is.end); err != nil {
			return false, fmt.Errorf("false success: %w", err)
		}
		return false, nil
	}
	refused.Add(1)
	if err := f.clear(answer); err != nil || ready || a.changes() {
		return ready, err
	}
	if f.leaves && r.net.programs && strings.Count(answer.Err.Msg, f.says[0]) > 1 {
		return false, nil
	}
	return true, r.differs(is.ready) // the kernel takes a link away some time later
}

// clear says whether a person can use the error, and a runtime its code.
func (f fault) clear(answer stage.Answer) error {
	e := answer.Err
	switch {
	case e == nil || e.Code == 0 || !strings.Contains(e.Msg, ": ") || strings.Contains(e.Msg, "bug:"):
		return errors.New("no error that names the step")
	case e.Code == 103 || e.Code == 999:
		return fmt.Errorf("code %d for a fault of the machine", e.Code)
	case !slices.ContainsFunc(f.says, func(text string) bool { return strings.Contains(e.Msg, text) }):
		return fmt.Errorf("the error does not say %q", f.says)
	}
	return nil
}

func message(a stage.Answer) string {
	if a.Err == nil {
		return ""
	}
	return fmt.Sprint(a.Err.Code, " ", a.Err.Msg)
}
