// Command proof runs the long parts of the tests one after the other, each by its make target,
// and writes report.md. A part's output is in bin/proof/PART.log and its result in
// bin/proof/PART.json: a part that has passed on the same files is not run again, so a run that
// was stopped goes on where it was. PART=crash,fuzz runs these again and no others, PART=report
// none, FRESH=1 all.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// part is one make target.
type part struct {
	name string
	last string   // a regular expression of what it says in the end
	args []string // of make, behind the target
}

var parts = []part{
	{name: "crash", last: `^crash: \d+ points, \d+ recoveries, 0 leaks`},
	{name: "schedules", last: `^schedules: .* 0 violations`},
	{name: "mutation", last: `^mutation: \d+ lines, 0 survive, 0 not in the list`},
	{name: "fuzz", last: `^fuzz: \d+ targets, .* 0 findings`, args: []string{"FUZZTIME=10m"}},
	{name: "soak", last: `^soak: .* 0 violations`, args: []string{"MINUTES=60"}},
	{name: "vm-matrix", last: `^vm-matrix: (\d+) of (\d+) kernels passed`},
	{name: "e2e", last: `^e2e-\w+: (\d+) of (\d+) checks passed`},
}

// result is what came of a part.
type result struct {
	Passed  bool
	Last    []string // lines that match part.last
	Seconds float64
	Date    string
	Commit  string
	Files   string // digest of all files of the repository but documents
	Kernel  string
	CPUs    int
}

// proof is a run of the parts.
type proof struct {
	parts  []part
	dir    string // of logs and results
	report string // path
	now    result // date, commit, files, kernel, processors
	only   []string
	fresh  bool
	make   func(p part, log io.Writer) error
	out    io.Writer
}

func main() {
	p := proof{parts: parts, dir: "bin/proof", report: "test/proof/report.md", fresh: os.Getenv("FRESH") != "", make: makeTarget, out: os.Stdout}
	if list := os.Getenv("PART"); list != "" {
		p.only = strings.Split(list, ",")
	}
	err := p.describe()
	if err == nil {
		err = p.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func makeTarget(p part, log io.Writer) error {
	cmd := exec.Command("make", append([]string{p.name}, p.args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	return cmd.Run()
}

// describe finds out what all results have in common.
func (p *proof) describe() error {
	git := func(args ...string) string {
		out, err := exec.Command("git", args...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	// A document changes no result, and the report is one.
	files := []string{":/", ":(exclude)*.md"}
	p.now.Commit = git("rev-parse", "--short=12", "HEAD")
	if p.now.Commit == "" {
		return errors.New("find the commit: is this a clone of the repository?")
	}
	if git(append([]string{"status", "--porcelain", "--"}, files...)...) != "" {
		p.now.Commit += ", changed"
	}
	tracked := exec.Command("git", append([]string{"ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"}, files...)...)
	hash := exec.Command("sh", "-c", "xargs -0 sha256sum 2>&1 | sha256sum | cut -c1-16")
	var err error
	if hash.Stdin, err = tracked.StdoutPipe(); err != nil {
		return err
	}
	if err := tracked.Start(); err != nil {
		return err
	}
	digest, err := hash.Output()
	if err := errors.Join(err, tracked.Wait()); err != nil {
		return fmt.Errorf("read all files: %w", err)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	p.now.Files, p.now.Kernel, p.now.CPUs = strings.TrimSpace(string(digest)), unix.ByteSliceToString(name.Release[:]), runtime.NumCPU()
	return nil
}

// run goes through the parts; the report is up to date after each.
func (p *proof) run() error {
	for _, name := range p.only {
		if name != "report" && !slices.ContainsFunc(p.parts, func(part part) bool { return part.name == name }) {
			return fmt.Errorf("PART=%s: no such part", name)
		}
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	for _, part := range p.parts {
		switch {
		case p.only != nil && !slices.Contains(p.only, part.name):
			continue
		case p.only == nil && !p.fresh && p.passed(part):
			fmt.Fprintf(p.out, "%s: has passed\n", part.name)
			continue
		}
		fmt.Fprintf(p.out, "%s: runs, see %s\n", part.name, p.file(part, "log"))
		r, err := p.runPart(part)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "%s: passed: %t, %s: %s\n", part.name, r.Passed, minutes(r.Seconds), strings.Join(r.Last, "; "))
		if err := p.write(); err != nil {
			return err
		}
	}
	if err := p.write(); err != nil {
		return err
	}
	passed := p.count()
	fmt.Fprintf(p.out, "proof: %d of %d parts passed\n", passed, len(p.parts))
	if passed < len(p.parts) {
		return errors.New("not all parts have passed on these files")
	}
	return nil
}

func (p *proof) file(part part, ext string) string {
	return filepath.Join(p.dir, part.name+"."+ext)
}

// runPart runs one and keeps its result. An older result is gone before.
func (p *proof) runPart(part part) (result, error) {
	if err := os.Remove(p.file(part, "json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return result{}, err
	}
	log, err := os.Create(p.file(part, "log"))
	if err != nil {
		return result{}, err
	}
	defer log.Close()
	r, begin := p.now, time.Now()
	failed := p.make(part, log)
	r.Seconds, r.Date = time.Since(begin).Seconds(), begin.UTC().Format("2006-01-02 15:04")
	text, err := os.ReadFile(log.Name())
	if err != nil {
		return r, err
	}
	r.Last, r.Passed = part.judge(string(text))
	r.Passed = r.Passed && failed == nil
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return r, err
	}
	return r, os.WriteFile(p.file(part, "json"), data, 0o644)
}

// judge finds what the part says in the end: it must have said something, and where it says
// how many of how many, then all.
func (part part) judge(log string) (last []string, passed bool) {
	passed = true
	form := regexp.MustCompile(part.last)
	for line := range strings.Lines(log) {
		if found := form.FindStringSubmatch(strings.TrimSpace(line)); found != nil {
			last = append(last, strings.TrimSpace(line))
			passed = passed && (len(found) < 3 || found[1] == found[2])
		}
	}
	return last, passed && len(last) > 0
}

// result is the one that is kept, if any.
func (p *proof) result(part part) (r result, ok bool) {
	data, err := os.ReadFile(p.file(part, "json"))
	return r, err == nil && json.Unmarshal(data, &r) == nil
}

// passed says whether the part has passed on these files.
func (p *proof) passed(part part) bool {
	r, ok := p.result(part)
	return ok && r.Passed && r.Files == p.now.Files && r.Kernel == p.now.Kernel
}

func (p *proof) count() (n int) {
	for _, part := range p.parts {
		if p.passed(part) {
			n++
		}
	}
	return n
}

// write writes the report.
func (p *proof) write() error {
	var b strings.Builder
	fmt.Fprintf(&b, "# What was run, and what came of it\n\n`make proof` writes this file. %d of %d parts have passed on the files of commit %s.\n\n", p.count(), len(p.parts), p.now.Commit)
	b.WriteString("| part | passed | what it said in the end | time | begun (UTC) | commit | kernel, processors |\n|---|---|---|---|---|---|---|\n")
	for _, part := range p.parts {
		r, ok := p.result(part)
		if !ok {
			fmt.Fprintf(&b, "| %s | not run | | | | | |\n", target(part))
			continue
		}
		verdict := "no"
		switch {
		case r.Passed && p.passed(part):
			verdict = "yes"
		case r.Passed:
			verdict = "yes, on other files"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s, %d |\n", target(part), verdict, strings.Join(r.Last, "<br>"), minutes(r.Seconds), r.Date, r.Commit, r.Kernel, r.CPUs)
	}
	return os.WriteFile(p.report, []byte(b.String()), 0o644)
}

func target(part part) string { return strings.Join(append([]string{part.name}, part.args...), ", ") }

func minutes(seconds float64) string {
	if seconds < 100 {
		return fmt.Sprintf("%.0f s", seconds)
	}
	return fmt.Sprintf("%.0f min", seconds/60)
}
