package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// columns in the order of the tables.
var columns = []string{refDefault, refLegacy, refNftables, oursChained, oursSingle, controlName, ownEgress, oursCompat, floorName, emptyName}

// ratios compare medians of a row.
var ratios = []struct {
	name     string
	of, over func(row map[string]float64) float64
}{
	{"ref : chained", column(refDefault), column(oursChained)},
	{"best ref : chained", bestReference, column(oursChained)},
	{"ref : one", column(refDefault), column(oursSingle)},
	{"one : floor", column(oursSingle), column(floorName)},
}

func column(name string) func(map[string]float64) float64 {
	return func(row map[string]float64) float64 {
		if v, ok := row[name]; ok {
			return v
		}
		return math.NaN()
	}
}

func bestReference(row map[string]float64) float64 {
	best := math.NaN()
	for name, v := range row {
		if isReference(name) && !(v >= best) {
			best = v
		}
	}
	return best
}

// report prints everything as tables that Markdown understands too.
func report(w io.Writer, r results, quick bool) {
	if quick {
		fmt.Fprintln(w, "A quick run: few rounds. The figures of a whole run are what counts.")
	}
	for _, t := range []struct{ part, title, n string }{
		{partVerbs, "One attachment", "attachments present"},
		{partStorm, fmt.Sprintf("%d at once: until the last one is done", crowd), "attachments present"},
		{partDual, "One attachment with IPv4 and IPv6", "attachments present"},
		{partForeign, "One attachment beside rules of others", "foreign rules"},
		{partLeases, "One attachment in a network with many leases", "leases"},
		{partMapping, "One attachment with many published ports", "ports"},
		{partEgress, "One attachment with ipspoofchk and a list of destinations", "entries of egress"},
		{partPublish, "A port of a running container by hand, 40 ms after the last deletion of rules", "attachments present"},
	} {
		costs(w, r, t.part, t.title, t.n)
	}
	for _, t := range []struct{ part, title, n, format string }{
		{partSystem, "System calls of a verb, with those of all programs it starts", "", "%.0f"},
		{partExecs, "Programs executed by a verb, plugins included", "", "%.0f"},
		{partMemory, "Largest resident size of a process, MB", "", "%.1f"},
		{partConnects, "New TCP connections per second (in: from outside through the last published port; out: through masquerade), and their latency", "mappings", "%.0f"},
		{partStreams, "One TCP stream, Gbit/s", "", "%.2f"},
	} {
		values(w, r, t.part, t.title, t.n, t.format)
	}
}

// rows are the keys of a part without the variant, in the order in which they were
// measured.
func (r *results) rows(part string) (keys []key, names []string) {
	for _, s := range r.samples {
		k := s.key
		if k.Part != part {
			continue
		}
		if !slices.Contains(names, k.Variant) {
			names = append(names, k.Variant)
		}
		k.Variant = ""
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	slices.SortStableFunc(keys, func(a, b key) int {
		if a.N != b.N {
			return a.N - b.N
		}
		return a.Ports - b.Ports
	})
	names = slices.DeleteFunc(slices.Clone(columns), func(c string) bool { return !slices.Contains(names, c) })
	return keys, names
}

func costs(w io.Writer, r results, part, title, n string) {
	keys, names := r.rows(part)
	if len(keys) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## %s\n\nms: median wall (p99) median CPU of all processes\n\n", title)
	lines := [][]string{append([]string{"verb", n, "ports"}, names...)}
	for _, x := range ratios {
		lines[0] = append(lines[0], x.name)
	}
	for _, k := range keys {
		line := []string{k.What, fmt.Sprint(k.N), fmt.Sprint(k.Ports)}
		medians := make(map[string]float64)
		for _, name := range names {
			k.Variant = name
			walls := r.pick(k, wall)
			if len(walls) == 0 {
				line = append(line, "")
				continue
			}
			medians[name] = median(walls)
			line = append(line, fmt.Sprintf("%s (%s) %s", short(medians[name]), short(quantile(walls, 0.99)), short(median(r.pick(k, cpu)))))
		}
		for _, x := range ratios {
			line = append(line, short(x.of(medians)/x.over(medians)))
		}
		lines = append(lines, line)
	}
	table(w, lines)
}

func values(w io.Writer, r results, part, title, n, format string) {
	keys, names := r.rows(part)
	if len(keys) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## %s\n\n", title)
	lines := [][]string{append([]string{"what", n}, names...)}
	for _, k := range keys {
		line := []string{k.What, fmt.Sprint(k.N)}
		if n == "" {
			line[1] = ""
		}
		for _, name := range names {
			k.Variant = name
			line = append(line, fmt.Sprintf(format, r.medianValue(k)))
		}
		lines = append(lines, line)
	}
	table(w, lines)
}

// short is three digits; nothing for what was not measured.
func short(v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// table aligns the columns; the first line is the head.
func table(w io.Writer, lines [][]string) {
	width := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for i, line := range lines {
		for j, cell := range line {
			fmt.Fprintf(w, "| %s%s ", cell, strings.Repeat(" ", width[j]-utf8.RuneCountInString(cell)))
		}
		fmt.Fprintln(w, "|")
		if i > 0 {
			continue
		}
		for j := range line {
			fmt.Fprintf(w, "|%s", strings.Repeat("-", width[j]+2))
		}
		fmt.Fprintln(w, "|")
	}
}
