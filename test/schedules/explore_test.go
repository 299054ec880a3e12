package schedules

import (
	"fmt"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
)

// changing are the effects that another program can see, and locks.
func changing(e trace.Effect) bool {
	return e.Name == "flock" || seen(e) && !e.Inert() && e.Name != "openat"
}

// asking are all effects but those that nothing outside the program depends on.
func asking(e trace.Effect) bool {
	return e.Name == "flock" || seen(e) && (!e.Inert() || strings.HasPrefix(e.Detail, "netlink type"))
}

// seen leaves out what is nobody else's: the answer, files of the runtime, times of files.
func seen(e trace.Effect) bool {
	for _, part := range []string{"/memfd:", "/proc/self", "/proc/thread-self", "/sys/kernel", "/etc/", "netlink type 0,"} {
		if strings.Contains(e.Detail, part) {
			return false
		}
	}
	return e.Name != "exit_group" && e.Name != "utimensat"
}

// explorer runs the schedules of one pair with one of its programs first.
type explorer struct {
	*room
	first, wrong int
}

// renew leaves a room in which something went wrong.
func (x *explorer) renew() {
	x.t.Helper()
	x.room = newRoom(x.t, x.pair)
	x.inOrder()
}

// explore runs as many schedules as the mode says.
func (x *explorer) explore() {
	x.t.Helper()
	x.inOrder()
	switch mode {
	case "quick":
		x.some()
	case "one":
		x.oneStop()
	default:
		x.oneStop()
		if !x.pair.slow {
			x.twoStops()
		}
	}
}

// some are few schedules with one stop, at chance.
func (x *explorer) some() {
	x.t.Helper()
	const count = 2
	choose := random(x.pair.name)
	var stops []int
	for n, a := range x.try(asking, true) {
		if a.other {
			stops = append(stops, n)
		}
	}
	for range min(count, len(stops)) {
		x.try(asking, true, stop{at: stops[choose.IntN(len(stops))]})
	}
}

// oneStop stops the first program at whatever asks or changes.
func (x *explorer) oneStop() {
	x.t.Helper()
	for n, a := range x.try(asking, true) {
		if a.other {
			x.try(asking, true, stop{at: n})
		}
	}
}

// twoStops stops the first program at each call that changes something, and then the second one
// or, where the second one waits, the first one again; or kills the second one, or the first one.
func (x *explorer) twoStops() {
	x.t.Helper()
	for n, a := range x.try(changing, false) {
		if !a.other {
			continue
		}
		x.try(changing, false, stop{at: n, kill: true})
		for m, b := range x.try(changing, false, stop{at: n}) {
			if m <= n {
				continue
			}
			if b.other {
				x.try(changing, false, stop{at: n}, stop{at: m})
			}
			if b.who != x.first {
				x.try(changing, false, stop{at: n}, stop{at: m, kill: true})
			}
		}
	}
}

// inOrder runs one verb after the other, in both orders.
func (x *explorer) inOrder() {
	x.t.Helper()
	for first := range x.pair.verbs {
		o, _, err := x.once(newSchedule(first, func(trace.Effect) bool { return false }), false, fmt.Sprintf("order %d", first+1))
		if err != nil {
			x.t.Fatalf("%s: %s before %s: %v", x.pair.name, x.pair.verbs[first], x.pair.verbs[1-first], err)
		}
		x.serial = append(x.serial, o)
	}
}

// once runs one schedule.
func (x *explorer) once(s *schedule, reads bool, order string) (outcome, *schedule, error) {
	x.t.Helper()
	x.prepare()
	o, err := x.perform(s, reads)
	if err == nil {
		if order != "" {
			o.state = x.settled()
		}
		err = x.judge(o, s, order)
	}
	return o, s, err
}

// try runs a schedule and counts it.
func (x *explorer) try(counts func(trace.Effect) bool, reads bool, stops ...stop) []arrival {
	x.t.Helper()
	begin := time.Now()
	_, s, err := x.once(newSchedule(x.first, counts, stops...), reads, "")
	if s.missed {
		strayed.Add(1)
	}
	schedules.Add(1)
	if list {
		x.t.Logf("%v: %s", time.Since(begin).Round(time.Millisecond), x.told(s))
	}
	if err != nil {
		violations.Add(1)
		x.t.Errorf("%s: %s: %v", x.pair.name, x.told(s), err)
		if x.wrong++; x.wrong == enough {
			x.t.Fatalf("%s: %d violations: the other schedules are not run", x.pair.name, enough)
		}
		x.renew()
	}
	return s.arrivals
}

// enough violations of one pair tell what is wrong; each takes seconds of waiting.
const enough = 5

// told is a schedule in words.
func (x *explorer) told(s *schedule) string {
	words := []string{x.pair.verbs[s.first].String() + " first"}
	for _, stop := range s.stops {
		what := "stopped"
		if stop.kill {
			what = "killed"
		}
		if stop.at < len(s.arrivals) {
			at := s.arrivals[stop.at]
			words = append(words, fmt.Sprintf("%s %s before %s (%d)", x.pair.verbs[at.who], what, at.effect, stop.at))
		}
	}
	return strings.Join(words, ", ")
}
