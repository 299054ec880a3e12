package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
)

// panel is one diagram: a line for each variant, both axes by powers of ten.
type panel struct {
	title, x, y string
	left        float64 // of the plot area
	lines       []line
}

type line struct {
	name   string
	points [][2]float64
}

const (
	panelWidth, panelHeight = 330.0, 260.0
	panelTop                = 50.0
	firstLeft, secondLeft   = 60.0, 600.0
	present                 = "attachments present"
	// zero is where a logarithmic axis shows "none".
	zero = 10.0
)

// scaled says what both axes are.
const scaled = " (logarithmic)"

// dark exchanges colours for who prefers a dark background.
const dark = `<style>@media(prefers-color-scheme:dark){rect{fill:#0d1117}text:not([fill]){fill:#e6edf3}[stroke="#ddd"]{stroke:#3d444d}` +
	`[fill="#005ab5"]{fill:#58a6ff}[stroke="#005ab5"]{stroke:#58a6ff}[fill="#7a5bb5"]{fill:#b79cf0}[stroke="#7a5bb5"]{stroke:#b79cf0}` +
	`[fill="#777777"]{fill:#a8a8a8}[stroke="#777777"]{stroke:#a8a8a8}[fill="#c44e00"]{fill:#f0883e}[stroke="#c44e00"]{stroke:#f0883e}}</style>`

var colours = map[string]string{
	refDefault: "#c44e00", refLegacy: "#e08a3c", refNftables: "#b8a200",
	oursChained: "#005ab5", oursSingle: "#00a0c8", oursCompat: "#7a5bb5", floorName: "#777777",
}

// draw makes the picture of the samples in file.
func draw(file string, w io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var r results
	if err := json.Unmarshal(text, &r.samples); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	add := panel{title: "ADD, one published port", x: present, y: "ms", left: firstLeft}
	connects := panel{title: "New connections through the last published port", x: "published ports", y: "per second", left: secondLeft}
	for _, name := range columns {
		add.lines = append(add.lines, line{name, r.series(partVerbs, name, "ADD", 1, (*results).medianWall)})
		connects.lines = append(connects.lines, line{name, r.series(partConnects, name, connectsIn, 0, (*results).medianValue)})
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1120 360" font-family="sans-serif" font-size="12">`+"\n")
	fmt.Fprintln(w, dark)
	fmt.Fprintln(w, `<rect width="1120" height="360" fill="white"/>`)
	add.draw(w)
	connects.draw(w)
	fmt.Fprintln(w, "</svg>")
	return nil
}

// series is the medians of one variant by N.
func (r *results) series(part, variant, what string, ports int, of func(*results, key) float64) (points [][2]float64) {
	keys, _ := r.rows(part)
	for _, k := range keys {
		if k.What != what || k.Ports != ports {
			continue
		}
		k.Variant = variant
		if v := of(r, k); !math.IsNaN(v) {
			points = append(points, [2]float64{math.Max(float64(k.N), zero/10), v})
		}
	}
	if part == partVerbs && len(points) > 0 {
		points[0][0] = zero
	}
	return points
}

func (p panel) draw(w io.Writer) {
	low, high := p.limits()
	x := scale(low[0], high[0], p.left, p.left+panelWidth)
	y := scale(low[1], high[1], panelTop+panelHeight, panelTop)
	fmt.Fprintf(w, `<text x="%g" y="24" font-size="15" font-weight="bold">%s</text>`+"\n", p.left, p.title)
	fmt.Fprintf(w, `<text x="%g" y="%g">%s</text>`+"\n", p.left-40, panelTop-8, p.y+scaled)
	for _, v := range ticks(low[1], high[1]) {
		fmt.Fprintf(w, `<path d="M%g %.1fh%g" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%g</text>`+"\n", p.left, y(v), panelWidth, p.left-5, y(v)+4, v)
	}
	seen := make(map[float64]bool)
	for _, l := range p.lines {
		for _, at := range l.points {
			if v := at[0]; !seen[v] {
				seen[v] = true
				label := fmt.Sprint(v)
				if p.x == present && v == zero {
					label = "0"
				}
				fmt.Fprintf(w, `<text x="%.1f" y="%g" text-anchor="middle">%s</text>`+"\n", x(v), panelTop+panelHeight+18, label)
			}
		}
	}
	fmt.Fprintf(w, `<text x="%g" y="%g" text-anchor="middle">%s</text>`+"\n", p.left+panelWidth/2, panelTop+panelHeight+38, p.x+scaled)
	p.drawLines(w, x, y)
}

// drawLines names each line at its end; names move down where they would touch.
func (p panel) drawLines(w io.Writer, x, y func(float64) float64) {
	type label struct {
		at   float64
		text string
	}
	var labels []label
	for _, l := range p.lines {
		if len(l.points) == 0 {
			continue
		}
		var path strings.Builder
		for i, at := range l.points {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], x(at[0]), y(at[1]))
			fmt.Fprintf(w, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(at[0]), y(at[1]), colours[l.name])
		}
		fmt.Fprintf(w, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), colours[l.name])
		last := l.points[len(l.points)-1]
		labels = append(labels, label{y(last[1]), fmt.Sprintf(`fill="%s">%s %s`, colours[l.name], l.name, short(last[1]))})
	}
	for len(labels) > 0 {
		top := 0
		for i := range labels {
			if labels[i].at < labels[top].at {
				top = i
			}
		}
		fmt.Fprintf(w, `<text x="%g" y="%.1f" %s</text>`+"\n", p.left+panelWidth+8, labels[top].at+4, labels[top].text)
		at := labels[top].at + 14
		labels = append(labels[:top], labels[top+1:]...)
		for i := range labels {
			labels[i].at = math.Max(labels[i].at, at)
		}
	}
}

// limits are whole powers of ten for y.
func (p panel) limits() (low, high [2]float64) {
	low, high = [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{0, 0}
	for _, l := range p.lines {
		for _, at := range l.points {
			for i := range at {
				low[i], high[i] = math.Min(low[i], at[i]), math.Max(high[i], at[i])
			}
		}
	}
	low[1] = math.Pow(10, math.Floor(math.Log10(low[1])))
	high[1] = math.Pow(10, math.Ceil(math.Log10(high[1])))
	return low, high
}

func scale(low, high, from, to float64) func(float64) float64 {
	return func(v float64) float64 {
		return from + (to-from)*(math.Log10(v)-math.Log10(low))/(math.Log10(high)-math.Log10(low))
	}
}

func ticks(low, high float64) (all []float64) {
	for v := low; v <= high*1.01; v *= 10 {
		for _, m := range []float64{1, 2, 5} {
			if v*m <= high*1.01 {
				all = append(all, v*m)
			}
		}
	}
	return all
}
