package main

import (
	"fmt"
	"io"
	"math"
)

// target is one promise: a number from the run, and the least or the most it may be.
type target struct {
	what    string
	least   float64 // 0 where it has a most
	most    float64
	measure func(r *results) float64
}

// times is how many times longer the reference takes than one of ours. With best it is
// the fastest of its backends, else its default one.
func times(part, what string, n, ports int, mine string, best bool) func(*results) float64 {
	return func(r *results) float64 {
		own := r.medianWall(key{part, mine, what, n, ports})
		theirs := r.medianWall(key{part, refDefault, what, n, ports})
		if !best {
			return theirs / own
		}
		for _, v := range references[1:] {
			theirs = math.Min(theirs, r.medianWall(key{part, v.name, what, n, ports}))
		}
		return theirs / own
	}
}

// growth is how many times longer it takes with n than with base.
func growth(part, what, mine string, n, base int) func(*results) float64 {
	return func(r *results) float64 {
		return r.medianWall(key{part, mine, what, n, 1}) / r.medianWall(key{part, mine, what, base, 1})
	}
}

var targets = []target{
	{"ADD chained, 1 port, none present: times faster", 12, 0, times(partVerbs, "ADD", 0, 1, oursChained, false)},
	{"the same against the reference's best backend", 12, 0, times(partVerbs, "ADD", 0, 1, oursChained, true)},
	{"ADD as one plugin, 1 port, none present: times faster", 16, 0, times(partVerbs, "ADD", 0, 1, oursSingle, false)},
	{"the same: times the C floor", 0, 2.5, func(r *results) float64 {
		return r.medianWall(key{partVerbs, oursSingle, "ADD", 0, 1}) / r.medianWall(key{partVerbs, floorName, "ADD", 0, 1})
	}},
	{"ADD chained, 5 ports, none present: times faster", 16, 0, times(partVerbs, "ADD", 0, 5, oursChained, false)},
	{"ADD chained, 5 ports, 900 present: times faster", 50, 0, times(partVerbs, "ADD", 900, 5, oursChained, false)},
	{"ADD chained, 1 port, 900 present: times faster", 35, 0, times(partVerbs, "ADD", 900, 1, oursChained, false)},
	{"the same against the reference's best backend", 15, 0, times(partVerbs, "ADD", 900, 1, oursChained, true)},
	{"CHECK, 5 ports, none present: times faster", 8, 0, times(partVerbs, "CHECK", 0, 5, oursChained, false)},
	{"CHECK, 5 ports, 900 present: times faster", 25, 0, times(partVerbs, "CHECK", 900, 5, oursChained, false)},
	{"DEL, 1 port, none present: times faster", 7, 0, times(partVerbs, "DEL", 0, 1, oursChained, false)},
	{"DEL, 1 port, 900 present: times faster", 10, 0, times(partVerbs, "DEL", 900, 1, oursChained, false)},
	{"repeated DEL of bridge: times its VERSION", 0, 1.3, repeated("bridge")},
	{"repeated DEL of portmap: times its VERSION", 0, 1.3, repeated("portmap")},
	{"CPU of ADD and DEL, none present: times less", 12, 0, func(r *results) float64 {
		sum := func(variant string) float64 {
			return median(r.pick(key{partVerbs, variant, "ADD", 0, 1}, cpu)) + median(r.pick(key{partVerbs, variant, "DEL", 0, 1}, cpu))
		}
		return sum(refDefault) / sum(oursChained)
	}},
	{"50 ADDs at once, none present: times faster", 12, 0, times(partStorm, "ADD", 0, 1, oursChained, false)},
	{"50 ADDs at once, 900 present: times faster", 80, 0, times(partStorm, "ADD", 900, 1, oursChained, false)},
	{"ADD with 60,000 leases: times that with 10", 0, 1.2, growth(partLeases, "ADD", oursChained, 60_000, 10)},
	{"ADD with 5,000 foreign rules: times that with none", 0, 1.1, growth(partForeign, "ADD", oursChained, 5*services, 0)},
	{"ADD with 100 entries of egress: ms more than without", 0, 0.3, listed(oursSingle)},
	{"the same, each container with a list of its own", 0, 0.3, listed(ownEgress)},
	{"memory of a process, MB", 0, 6, memory},
	{"connects a second, 5,000 mappings: times that with 1", 0.95, 0, func(r *results) float64 {
		return r.medianValue(key{partConnects, oursChained, connectsIn, 5000, 0}) / r.medianValue(key{partConnects, oursChained, connectsIn, 1, 0})
	}},
	{"connects a second, 5,000 mappings: times the reference's", 3, 0, func(r *results) float64 {
		return r.medianValue(key{partConnects, oursChained, connectsIn, 5000, 0}) / r.medianValue(key{partConnects, refDefault, connectsIn, 5000, 0})
	}},
	{"throughput, container to container: times the reference's", 0.98, 0, throughputRatio("container to container")},
	{"throughput, container to outside: times the reference's", 0.98, 0, throughputRatio("container to outside")},
}

// connectsIn is the load of the targets. Eight at once the client stalls: 2,800 a second with
// every variant, at a median of 26 µs each.
const connectsIn = "in, one by one"

// repeated compares a DEL that finds nothing with VERSION, which does nothing.
func repeated(plugin string) func(*results) float64 {
	of := func(s sample) float64 { return s.Each[plugin] }
	return func(r *results) float64 {
		return median(r.pick(key{partVerbs, oursChained, "DEL again", 0, 1}, of)) / median(r.pick(key{partVerbs, oursChained, "VERSION", 0, 1}, of))
	}
}

// memory is the largest of all verbs of ours.
func memory(r *results) float64 {
	most := math.NaN()
	for _, v := range []string{oursChained, oursSingle} {
		for _, verb := range verbs {
			for _, mb := range r.pick(key{partMemory, v, verb, 0, 1}, value) {
				if !(mb <= most) {
					most = mb
				}
			}
		}
	}
	return most
}

func throughputRatio(what string) func(*results) float64 {
	return func(r *results) float64 {
		return r.medianValue(key{partStreams, oursChained, what, 0, 0}) / r.medianValue(key{partStreams, refDefault, what, 0, 0})
	}
}

// listed is how much longer an ADD takes with a list of destinations, in ms.
func listed(variant string) func(*results) float64 {
	return func(r *results) float64 {
		return r.medianWall(key{partEgress, variant, "ADD", entries, 1}) - r.medianWall(key{partEgress, oursSingle, "ADD", 0, 1})
	}
}

// judge prints what was promised and what is, and says whether all is met. What the run
// did not measure does not count.
func judge(w io.Writer, r results) bool {
	met, all := 0, 0
	lines := [][]string{{"target", "wanted", "measured", ""}}
	for _, t := range targets {
		got := t.measure(&r)
		if math.IsNaN(got) {
			continue
		}
		all++
		wanted, good := fmt.Sprintf(">= %g", t.least), got >= t.least
		if t.least == 0 {
			wanted, good = fmt.Sprintf("<= %g", t.most), got <= t.most
		}
		verdict := "missed"
		if good {
			met++
			verdict = "met"
		}
		lines = append(lines, []string{t.what, wanted, short(got), verdict})
	}
	fmt.Fprintf(w, "\n## Targets\n\n\"times faster\" is against the reference with its default backend, iptables-nft.\n\n")
	table(w, lines)
	fmt.Fprintf(w, "\nbench: %d of %d targets met\n", met, all)
	return met == all && all > 0
}
