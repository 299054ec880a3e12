package graph

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
)

// The colours of the picture: each word means the same everywhere in it.
const (
	ink    = "#1f2937"
	faint  = "#6b7280"
	hair   = "#d1d5db"
	paper  = "#ffffff"
	hostBg = "#f8fafc"
	good   = "#16a34a"
	warn   = "#d97706"
	bad    = "#dc2626"

	blue, blueBg    = "#2563eb", "#eff6ff" // bridges
	orange, orangeB = "#c2410c", "#fff7ed" // published ports
	violet, violetB = "#7c3aed", "#f5f3ff" // masquerade
)

// dark are the same colours for who prefers a dark background.
var dark = map[string]string{
	ink: "#e5e7eb", faint: "#9ca3af", hair: "#4b5563", paper: "#111827", hostBg: "#1b2433", good: "#4ade80", warn: "#fbbf24", bad: "#f87171",
	blue: "#7cb0ff", blueBg: "#1e2f4d", orange: "#fdba74", orangeB: "#43240f", violet: "#c4b5fd", violetB: "#332057",
}

// darker is the style sheet that exchanges them: what does not know it shows the attributes.
func darker() string {
	var b strings.Builder
	for _, light := range slices.Sorted(maps.Keys(dark)) {
		fmt.Fprintf(&b, `[fill="%s"]{fill:%s}[stroke="%[1]s"]{stroke:%[2]s}`, light, dark[light])
	}
	return "@media(prefers-color-scheme:dark){" + b.String() + "}"
}

// Sizes in pixels.
const (
	margin   = 28
	gap      = 16
	barH     = 46 // of a bridge
	trunkGap = 10 // beside a column for the line that comes down from the bridge
	second   = 15 // of a small card's second address
)

// card is the size of a container's box, and how much it tells.
type card struct {
	w, h    float64
	columns int
	full    bool // addresses of both families, link, all ports
}

// card chooses by the number of containers: hundreds still tell name, addresses and ports.
func (n Network) card() card {
	count, c := len(n.Containers), card{176, 54, 8, false}
	switch {
	case count <= 16:
		rows := max(1, (count+3)/4)
		return card{250, 126, max(3, (count+rows-1)/rows), true} // rows of about the same length
	case count <= 60:
		c = card{196, 62, 6, false}
	}
	if slices.ContainsFunc(n.Containers, func(k Container) bool { return len(k.Addrs) > 1 }) {
		c.h += second
	}
	return c
}

type drawing struct{ bytes.Buffer }

func (d *drawing) add(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

func (d *drawing) box(x, y, w, h, radius float64, fill, stroke, more string) {
	d.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.1f" fill="%s" stroke="%s" %s/>`, x, y, w, h, radius, fill, stroke, more)
}

func (d *drawing) line(x1, y1, x2, y2 float64, colour, more string) {
	d.add(`<path d="M%.1f %.1fL%.1f %.1f" stroke="%s" fill="none" %s/>`, x1, y1, x2, y2, colour, more)
}

// perRune is how wide a character is at most times, in parts of the font's size.
func perRune(class string) float64 {
	switch {
	case strings.Contains(class, "mono"):
		return 0.61
	case strings.Contains(class, "b"):
		return 0.65
	}
	return 0.57
}

// text writes within a width in pixels. What does not fit gets smaller, and then loses its middle.
func (d *drawing) text(x, y, width, size float64, class, colour, s string) {
	runes := []rune(s)
	if need := float64(len(runes)) * size * perRune(class); need > width {
		size *= max(width/need, 0.84)
	}
	if most := int(width / (size * perRune(class))); len(runes) > most {
		most = max(most-1, 2)
		s = string(runes[:most-most/2]) + "…" + string(runes[len(runes)-most/2:])
	}
	d.add(`<text x="%.1f" y="%.1f" font-size="%.1f" class="%s" fill="%s">%s</text>`, x, y, size, class, colour, html.EscapeString(s))
}

// SVG draws the picture.
func (p Picture) SVG(w io.Writer) error {
	var body drawing
	width := 760.0
	for _, n := range p.Networks {
		c := n.card()
		width = max(width, float64(c.columns)*(c.w+gap+trunkGap)+gap)
	}
	inner := margin + 18.0 // where networks begin, inside the host's box
	y := p.outside(&body, width+2*18)
	hostTop := y
	y = p.hostLine(&body, inner, y, width)
	for _, n := range p.Networks {
		y = n.draw(&body, inner, y, width)
	}
	if len(p.Networks) == 0 {
		body.text(inner, y+10, width, 13, "", faint, "no container networks")
		y += 30
	}
	var out drawing
	total, height := width+2*18+2*margin, y+margin
	out.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" aria-label="container networks of %s">`, total, height, total, height, html.EscapeString(p.Host))
	out.add(`<style>text{font-family:Inter,"Segoe UI","DejaVu Sans",Helvetica,Arial,sans-serif}.mono{font-family:"JetBrains Mono","DejaVu Sans Mono",Menlo,Consolas,monospace}.b{font-weight:600}.m{text-anchor:middle}.e{text-anchor:end}%s</style>`, darker())
	out.box(0, 0, total, height, 0, paper, "none", "")
	out.box(margin, hostTop, width+2*18, y-hostTop, 14, hostBg, hair, `stroke-width="1.5"`)
	_, _ = out.Write(body.Bytes()) // a Buffer never fails
	out.add("</svg>")
	_, err := w.Write(out.Bytes())
	return err
}

// outside draws the world and its lines to the host; it returns where the host begins.
func (p Picture) outside(d *drawing, width float64) float64 {
	centre := margin + width/2
	const w, h, top = 190.0, 44.0, 22.0
	d.box(centre-w/2, top, w, h, 22, paper, ink, `stroke-width="1.5"`)
	d.text(centre, top+28, w, 15, "b m", ink, "outside")
	host := top + h + 64
	if len(p.Uplinks) == 0 {
		d.line(centre, top+h, centre, host, bad, `stroke-width="2" stroke-dasharray="4 5"`)
		d.text(centre+12, top+h+36, 300, 12, "", bad, "no default route")
		return host
	}
	step := min(300, width/float64(len(p.Uplinks)))
	for i, u := range p.Uplinks {
		x := centre + (float64(i)-float64(len(p.Uplinks)-1)/2)*step
		d.add(`<path d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1fV%.1f" stroke="%s" fill="none" stroke-width="2"/>`, centre, top+h, centre, top+h+22, x, top+h+4, x, top+h+26, host, ink)
		d.add(`<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>`, x, host, ink)
		if i == 0 {
			p.passes(d, x-12, host)
		}
		d.text(x+12, host-28, step-20, 13, "b", ink, u.Name)
		d.text(x+12, host-11, step-20, 12, "mono", faint, strings.Join(u.Addrs, " · "))
	}
	return host
}

// passes tells what comes in and goes out by translation.
func (p Picture) passes(d *drawing, x, y float64) {
	_, ports := p.sums()
	if slices.ContainsFunc(p.Networks, func(n Network) bool { return n.Masquerade }) {
		d.text(x, y-28, 220, 12, "b e", violet, "▲ out: masqueraded")
	}
	if ports > 0 {
		d.text(x, y-11, 220, 12, "b e", orange, fmt.Sprintf("▼ in: %d published", ports))
	}
}

// hostLine names the host and sums up what passes through it.
func (p Picture) hostLine(d *drawing, x, y, width float64) float64 {
	containers, ports := p.sums()
	d.text(x, y+34, width/2, 16, "b", ink, p.Host)
	sum := show.Count(len(p.Networks), "network") + ", " + show.Count(containers, "container") + ", " + show.Count(ports, "published port")
	d.text(x+width, y+34, width/2, 13, "e", faint, sum)
	return y + 58
}

// draw draws one network and returns where the next one begins.
func (n Network) draw(d *drawing, x, y, width float64) float64 {
	n.bar(d, x, y, width)
	c := n.card()
	pitchX, pitchY := c.w+gap+trunkGap, c.h+gap
	if !c.full {
		pitchY = c.h + gap/2
	}
	rows := (len(n.Containers) + c.columns - 1) / c.columns
	if rows == 0 {
		d.text(x+14, y+barH+28, width, 13, "", faint, "no containers")
		return y + barH + 56
	}
	first := y + barH + 30
	// A trunk comes down beside each column, with a branch to each card.
	for col := range min(c.columns, len(n.Containers)) {
		below := (len(n.Containers) - col + c.columns - 1) / c.columns
		tx := x + 8 + float64(col)*pitchX
		d.line(tx, y+barH, tx, first+float64(below-1)*pitchY+c.h/2-8, blue, `stroke-width="2"`)
	}
	for i, k := range n.Containers {
		col, row := i%c.columns, i/c.columns
		cx, cy := x+8+float64(col)*pitchX+trunkGap+8, first+float64(row)*pitchY
		stroke := `stroke-width="2"`
		if k.Link == "" {
			stroke = `stroke-width="2" stroke-dasharray="3 3"`
		}
		d.add(`<path d="M%.1f %.1fq0 8 8 8H%.1f" stroke="%s" fill="none" %s/>`, cx-trunkGap-8, cy+c.h/2-8, cx, blue, stroke)
		k.draw(d, cx, cy, c)
	}
	return first + float64(rows)*pitchY + 14
}

// bar is the bridge, with its addresses, and signs for what passes.
func (n Network) bar(d *drawing, x, y, width float64) {
	d.box(x, y, width, barH, 10, blueBg, blue, `stroke-width="1.5"`)
	d.text(x+16, y+29, 220, 16, "b", blue, n.Name)
	at := x + 16 + min(220, float64(len([]rune(n.Name)))*10.6) + 14
	text := strings.Join(append([]string{cmp.Or(n.Bridge, "no bridge")}, n.Gateways...), " · ")
	right := x + width - 14
	if n.Masquerade {
		right = chip(d, right, y+11, "masquerade", violet, violetB)
	}
	if ports := n.ports(); ports > 0 {
		right = chip(d, right, y+11, fmt.Sprintf("%d published", ports), orange, orangeB)
	}
	d.text(at, y+28.5, right-at, 13, "mono", ink, text)
}

// chip draws a label that ends at right, and returns where the next one may end.
func chip(d *drawing, right, y float64, text, colour, fill string) float64 {
	w := float64(len([]rune(text)))*7.7 + 22
	d.box(right-w, y, w, 24, 12, fill, colour, "")
	d.add(`<text x="%.1f" y="%.1f" font-size="12" class="b m" fill="%s">%s</text>`, right-w/2, y+16.3, colour, html.EscapeString(text))
	return right - w - 8
}

func (k Container) draw(d *drawing, x, y float64, c card) {
	border, more, dot := hair, `stroke-width="1.2"`, good
	switch k.State {
	case "drift", "unsure":
		border, dot = warn, warn
	case "orphan":
		border, dot, more = bad, bad, `stroke-width="1.2" stroke-dasharray="5 4"`
	}
	d.box(x, y, c.w, c.h, 9, paper, border, more)
	if !c.full {
		k.small(d, x, y, c, dot)
		return
	}
	d.add(`<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>`, x+18, y+21, dot)
	d.text(x+31, y+26, c.w-98, 15, "b", ink, k.Name)
	state := k.IF
	if k.State != "ok" {
		state = k.State
	}
	d.text(x+c.w-12, y+26, 80, 12, "e", faint, state)
	line := y + 48
	for _, a := range k.Addrs[:min(len(k.Addrs), 2)] {
		d.text(x+14, line, c.w-24, 12.5, "mono", ink, a)
		line += 17
	}
	d.text(x+14, y+83, c.w-24, 11, "mono", faint, k.Link)
	k.chips(d, x+12, y+93, c.w-20)
}

// chips are the published ports, as many as fit.
func (k Container) chips(d *drawing, x, y, width float64) {
	used := 0.0
	for i, p := range k.Ports {
		w := float64(len([]rune(p)))*6.9 + 16
		left := len(k.Ports) - i
		if used+w > width-30 && left > 1 || used+w > width {
			d.text(x+used+2, y+15.5, 60, 11.5, "b", orange, fmt.Sprintf("+%d", left))
			return
		}
		d.box(x+used, y, w, 22, 6, orangeB, orange, "")
		d.text(x+used+8, y+15.2, w, 11.2, "mono", orange, p)
		used += w + 6
	}
}

// small tells name, ports and addresses in two lines, or in three.
func (k Container) small(d *drawing, x, y float64, c card, dot string) {
	middle := y + c.h/2
	if len(k.Addrs) > 1 {
		d.text(x+24, middle+14+second/2, c.w-30, 11.5, "mono", faint, k.Addrs[1])
		middle -= second / 2
	}
	d.add(`<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`, x+14, middle-9, dot)
	nameWidth := c.w - 30
	if len(k.Ports) > 0 {
		_, text, _ := strings.Cut("]"+k.Ports[0], "]") // the host's address is for larger cards
		text = text[strings.LastIndex(text, ":")+1:]
		if len(k.Ports) > 1 {
			text += fmt.Sprintf(" +%d", len(k.Ports)-1)
		}
		w := min(float64(len([]rune(text)))*6.2+12, c.w*0.62)
		d.box(x+c.w-w-7, middle-19, w, 19, 5, orangeB, orange, "")
		d.text(x+c.w-w-1, middle-5.6, w-6, 10.2, "mono", orange, text)
		nameWidth -= w + 6
	}
	d.text(x+24, middle-5, nameWidth, 12.5, "b", ink, k.Name)
	if len(k.Addrs) > 0 {
		d.text(x+24, middle+14, c.w-30, 11.5, "mono", faint, k.Addrs[0])
	}
}
