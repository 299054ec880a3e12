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

// over is a quotient of two numbers of the run.
func over(a, b func(*results) float64) func(*results) float64 {
	return func(r *results) float64 { return a(r) / b(r) }
}

// of is a median of a part's samples, as `wall` or `cpu` reads them.
func of(read func(sample) float64, part, variant, what string, n, ports int) func(*results) float64 {
	return func(r *results) float64 { return median(r.pick(key{part, variant, what, n, ports}, read)) }
}

// verb is the wall time of one.
func verb(variant, what string, n, ports int) func(*results) float64 {
	return of(wall, partVerbs, variant, what, n, ports)
}

// each is the wall time of one plugin's process.
func each(plugin string) func(sample) float64 {
	return func(s sample) float64 { return s.Each[plugin] }
}

// burdened is how many times longer an ADD takes with n than with base.
func burdened(part string, n, base int) func(*results) float64 {
	return over(of(wall, part, oursChained, "ADD", n, 1), of(wall, part, oursChained, "ADD", base, 1))
}

// storm is a crowd's time as a multiple of the C programs'.
func storm(what string, n int) func(*results) float64 {
	return over(of(wall, partStorm, oursSingle, what, n, 1), of(wall, partStorm, floorName, what, n, 1))
}

// repeated compares a plugin's DEL that finds nothing with its VERSION, which does nothing.
func repeated(plugin string) func(*results) float64 {
	return over(of(each(plugin), partVerbs, oursChained, "DEL again", 0, 1), of(each(plugin), partVerbs, oursChained, "VERSION", 0, 1))
}

// None of the targets depends on how slow somebody else is: each is a ratio to a program that does only what
// must be done, measured in the same run.
var targets = []target{
	{"ADD as one plugin, none present: times the C floor", 0, 2.2, over(verb(oursSingle, "ADD", 0, 1), verb(floorName, "ADD", 0, 1))},
	{"ADD as one plugin, 900 present: times the C floor", 0, 1.9, over(verb(oursSingle, "ADD", 900, 1), verb(floorName, "ADD", 900, 1))},
	{"the same, none present: ms of CPU above the C floor and an empty Go program", 0, 1, func(r *results) float64 {
		return of(cpu, partVerbs, oursSingle, "ADD", 0, 1)(r) - of(cpu, partVerbs, floorName, "ADD", 0, 1)(r) - of(cpu, partVerbs, emptyName, processStart, 0, 1)(r)
	}},
	{"ADD chained, none present: times the C floor", 0, 3.2, over(verb(oursChained, "ADD", 0, 1), verb(floorName, "ADD", 0, 1))},
	{"the portmap process of it: times an empty Go program", 0, 1.6, over(of(each("portmap"), partVerbs, oursChained, "ADD", 0, 1), verb(emptyName, processStart, 0, 1))},
	{"CHECK chained, 5 ports: times VERSION", 0, 1.6, over(verb(oursChained, "CHECK", 0, 5), verb(oursChained, "VERSION", 0, 5))},
	{"repeated DEL of bridge: times its VERSION", 0, 1.25, repeated("bridge")},
	{"repeated DEL of portmap: times its VERSION", 0, 1.25, repeated("portmap")},
	{"DEL as one plugin: times the C floor", 0, 1.15, over(verb(oursSingle, "DEL", 0, 1), verb(floorName, "DEL", 0, 1))},
	{"50 ADDs at once, none present: times 50 C floors", 0, 2.5, storm("ADD", 0)},
	{"50 ADDs at once, 900 present: times 50 C floors", 0, 2.5, storm("ADD", 900)},
	{"50 DELs at once, none present: times 50 C floors", 0, 2, storm("DEL", 0)},
	{"50 DELs at once, 900 present: times 50 C floors", 0, 2, storm("DEL", 900)},
	{"ADD with 60,000 leases: times that with 10", 0, 1.1, burdened(partLeases, 60_000, 10)},
	{"ADD with 5,000 foreign rules: times that with none", 0, 1.1, burdened(partForeign, 5*services, 0)},
	{"ADD chained with 900 attachments: times that with none", 0, 1.3, burdened(partVerbs, 900, 0)},
	{"ADD with 1,000 UDP ports: times that with 1,000 of TCP", 0, 1.5, over(of(wall, partMapping, oursSingle, "ADD"+withUDP, 1000, 1000), of(wall, partMapping, oursSingle, "ADD", 1000, 1000))},
	{"ADD with 20,000 ports, ms", 0, 1000, of(wall, partMapping, oursSingle, "ADD", 20_000, 20_000)},
	{"DEL with 20,000 ports, ms", 0, 1000, of(wall, partMapping, oursSingle, "DEL", 20_000, 20_000)},
	{"ADD with 100 entries of egress: ms more than without", 0, 0.3, listed(oursSingle)},
	{"the same, each container with a list of its own", 0, 0.3, listed(ownEgress)},
	{"bridgeport publish, ms", 0, 5, of(wall, partPublish, oursSingle, publishVerb, 1, 1)},
	{"bridgeport unpublish, ms", 0, 5, of(wall, partPublish, oursSingle, unpublishVerb, 1, 1)},
	{"memory of a process, MB", 0, 6, memory},
	{"connects a second, 5,000 mappings: times that with 1", 0.97, 0, func(r *results) float64 {
		return r.medianValue(key{partConnects, oursChained, connectsIn, 5000, 0}) / r.medianValue(key{partConnects, oursChained, connectsIn, 1, 0})
	}},
	{"throughput, container to container: times the reference's", 0.98, 0, throughputRatio("container to container")},
	{"throughput, container to outside: times the reference's", 0.98, 0, throughputRatio("container to outside")},
}

// apart is how far two measurements of the same are from each other in this run, in percent.
func apart(r *results) float64 {
	a, b := verb(oursSingle, "ADD", 0, 1)(r), verb(controlName, "ADD", 0, 1)(r)
	return 100 * math.Abs(a-b) / math.Min(a, b)
}

// tolerance is how far, in percent, the same may be from itself in a run that is believed.
const tolerance = 3

// connectsIn is the load of the targets. Eight at once the client stalls: 2,800 a second with
// every variant, at a median of 26 µs each.
const connectsIn = "in, one by one"

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
		return of(wall, partEgress, variant, "ADD", entries, 1)(r) - of(wall, partEgress, oursSingle, "ADD", 0, 1)(r)
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
	fmt.Fprint(w, "\n## Targets\n\n")
	table(w, lines)
	disturbed := ""
	if d := apart(&r); !math.IsNaN(d) {
		fmt.Fprintf(w, "\nThe yardstick: ADD as one plugin and the same once more are %.1f %% apart.\n", d)
		if d > tolerance {
			disturbed = fmt.Sprintf("disturbed, more than %d %%: ", tolerance)
		}
	}
	fmt.Fprintf(w, "\nbench: %s%d of %d targets met\n", disturbed, met, all)
	return met == all && all > 0 && disturbed == ""
}
