package supply

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Budget is what programs are linked with, as the lines of a table: "program: thing: number".
type Budget map[string]int

// tolerance is by how many percent numbers of bytes may differ: releases of Go, lengths of versions.
const tolerance = 2

// Add adds a program: the bytes of its file, its modules with the number of linked packages, and the
// number of Go's own.
func (b Budget) Add(p *Program) {
	b[p.Name+": bytes"] = int(p.Size)
	for _, pkg := range p.Packages {
		if module, _ := pkg.Of(); !pkg.Own() {
			b[p.Name+": packages of "+module]++
		}
	}
	b[p.Name+": modules"] = len(p.Info.Deps)
}

// AddNames adds Go's own packages one by one, but for those that only Go's own import.
func (b Budget) AddNames(p *Program) {
	for _, pkg := range p.Packages {
		if pkg.Standard && !regexp.MustCompile(`(^|/)(internal|vendor)(/|$)`).MatchString(pkg.ImportPath) {
			b[p.Name+": imports "+pkg.ImportPath] = 1
		}
	}
}

// initialised is a line that Go's runtime writes of each package.
var initialised = regexp.MustCompile(`(?m)^init \S+ @.* (\d+) bytes, (\d+) allocs$`)

// AddStart adds what the packages of a plugin do before main.
func (b Budget) AddStart(path, name string) error {
	cmd := exec.Command(path)
	cmd.Env = []string{"GODEBUG=inittrace=1", "CNI_COMMAND=VERSION"}
	cmd.Stdin = strings.NewReader(`{"cniVersion": "1.0.0"}`)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", path, err, &stderr)
	}
	lines := initialised.FindAllStringSubmatch(stderr.String(), -1)
	if len(lines) == 0 {
		return fmt.Errorf("%s: no line of inittrace's: %s", path, &stderr)
	}
	for _, m := range lines {
		size, _ := strconv.Atoi(m[1]) // digits
		b[name+": allocated before main, bytes"] += size
	}
	b[name+": packages that do something before main"] = len(lines)
	return nil
}

// String is the table.
func (b Budget) String() string {
	var lines []string
	for thing, n := range b {
		lines = append(lines, fmt.Sprintf("%s: %d\n", thing, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// ParseBudget reads the lines of a table; others are comments.
func ParseBudget(text string) Budget {
	b := make(Budget)
	for _, m := range regexp.MustCompile(`(?m)^(\S+: .+): (\d+)$`).FindAllStringSubmatch(text, -1) {
		b[m[1]], _ = strconv.Atoi(m[2]) // digits
	}
	return b
}

// Difference is what came in, went or grew since the table was written.
func (b Budget) Difference(now Budget) (list []string) {
	for thing, n := range now {
		was, ok := b[thing]
		apart := max(n-was, was-n)
		switch {
		case !ok:
			list = append(list, fmt.Sprintf("%s: %d: came in", thing, n))
		case strings.HasSuffix(thing, "bytes") && apart*100 <= was*tolerance:
		case apart > 0:
			list = append(list, fmt.Sprintf("%s: were %d, are %d", thing, was, n))
		}
	}
	for thing, n := range b {
		if _, ok := now[thing]; !ok {
			list = append(list, fmt.Sprintf("%s: %d: went", thing, n))
		}
	}
	slices.Sort(list)
	return list
}
