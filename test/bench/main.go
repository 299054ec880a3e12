// Command bench measures the plugins, the reference plugins and a floor in C, all in one
// run and in turns, on the machine at hand. README.md says how. `make bench` runs it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// rig is what all parts share.
type rig struct {
	bin, reference, floor, empty string // programs under test
	dir                          string // leases, caches; on a disk, as on a node
	spaces                       int
	scope                        scope
	results                      results
	machine                      machine
}

// scope is how much is measured.
type scope struct {
	existing []int // attachments present
	mappings []int // ports published, for the data plane
	leases   []int // of a large network
	rounds   func(n int) int
	storms   func(n int) int
	burdens  int // rounds with foreign rules, and with leases
	lists    int // rounds with lists of destinations, and of `bridgeport publish`: differences of tenths of a ms
	connects int // rounds
	streams  int // rounds of iperf3
}

var (
	full = scope{
		existing: []int{0, 100, 900}, mappings: []int{1, 100, 1000, 5000}, leases: []int{10, 10_000, 60_000},
		rounds:  func(n int) int { return map[int]int{0: 20, 100: 12, 900: 8}[n] },
		storms:  func(n int) int { return map[int]int{0: 3, 900: 1}[n] },
		burdens: 8, lists: 100, connects: 5, streams: 11,
	}
	quick = scope{
		existing: []int{0, 100}, mappings: []int{1, 100}, leases: []int{10, 10_000},
		rounds:  func(n int) int { return map[int]int{0: 5, 100: 3}[n] },
		storms:  func(n int) int { return map[int]int{0: 1}[n] },
		burdens: 3, lists: 5, connects: 2, streams: 1,
	}
)

func main() {
	r := &rig{}
	out := flag.String("json", "", "`file` for all samples")
	plot := flag.String("plot", "", "draw the samples of that `file` instead, as SVG on standard output")
	only := flag.String("only", "", "one `part` alone: publish, egress, verbs, dual, foreign, leases, mappings, data, streams")
	isQuick := flag.Bool("quick", os.Getenv("BENCH") == "quick", "fewer rounds, and no crowd of 900")
	other := flag.String("against", "", "compare -bin with that `folder` of plugins instead")
	rounds := flag.Int("rounds", 100, "with -against")
	flag.StringVar(&r.bin, "bin", "bin", "`folder` of the plugins")
	flag.StringVar(&r.reference, "reference", "bin/reference", "`folder` of the reference plugins")
	flag.StringVar(&r.floor, "floor", "bin/floor", "the C `program`")
	flag.StringVar(&r.empty, "empty", "bin/empty", "the Go `program` that does nothing")
	strict := flag.Bool("strict", os.Getenv("STRICT") == "1", "exit status 1 if a target is not met")
	flag.Parse()
	if *plot != "" {
		exitOn(draw(*plot, os.Stdout))
		return
	}
	code, isChild := stage.Isolate()
	if !isChild {
		os.Exit(code)
	}
	r.scope = full
	if *isQuick {
		r.scope = quick
	}
	if *other != "" {
		exitOn(r.prepared(func() error { return r.against(*other, *rounds, os.Stdout) }, other))
		return
	}
	err := r.prepared(func() error { return r.run(*only) })
	if *out != "" {
		err = errors.Join(err, r.write(*out)) // also what there is of a run that failed
	}
	exitOn(err)
	r.machine.print(os.Stdout)
	report(os.Stdout, r.results, *isQuick)
	if !judge(os.Stdout, r.results) && *strict {
		os.Exit(1)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// prepared calls do with the rig's folders in place; others are folders of plugins too.
func (r *rig) prepared(do func() error, others ...*string) (err error) {
	for _, p := range append(others, &r.bin, &r.reference, &r.floor, &r.empty) {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if r.dir, err = os.MkdirTemp("", "bridgeport-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.dir)
	plugins := []string{"bridge", "portmap", "host-local", "loopback"}
	if r.bin, err = r.install(r.bin, append(plugins, "bridgeport")...); err != nil {
		return err
	}
	for _, p := range append(others, &r.reference) {
		if *p, err = r.install(*p, plugins...); err != nil {
			return err
		}
	}
	for _, p := range []*string{&r.floor, &r.empty} {
		folder, err := r.install(filepath.Dir(*p), filepath.Base(*p))
		if err != nil {
			return err
		}
		*p = filepath.Join(folder, filepath.Base(*p))
	}
	r.machine = look(r.dir)
	// The driver's own collector must not run beside a plugin that is measured.
	debug.SetGCPercent(1000)
	return do()
}

// install copies a folder's programs, as a user does: what the linker wrote lies in the
// page cache in other pieces than what was copied (or read from disk), and starts slower.
func (r *rig) install(folder string, names ...string) (string, error) {
	to, err := os.MkdirTemp(r.dir, "bin-")
	if err != nil {
		return "", err
	}
	args := []string{"-a", "--reflink=never", "-t", to} // hard links stay links
	for _, name := range names {
		args = append(args, filepath.Join(folder, name))
	}
	if out, err := exec.Command("cp", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("install programs of %s: %w: %s", folder, err, out)
	}
	return to, nil
}

// run does the parts one after the other; within each the variants take turns.
func (r *rig) run(only string) error {
	for _, part := range []struct {
		name string
		do   func() error
	}{
		{"publish", r.byHand}, {"egress", r.egressLists}, // before the crowd of verbs, whose containers stay
		{"verbs", r.verbs}, {"dual", r.dual}, {"foreign", r.foreign}, {"leases", r.manyLeases}, {"mappings", r.manyMappings}, {"data", r.connects}, {"streams", r.throughput},
	} {
		if only != "" && only != part.name {
			continue
		}
		if err := part.do(); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// progress goes to people who wait; the table is on standard output.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

func (r *rig) write(file string) error {
	text, err := json.Marshal(r.results.samples)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
