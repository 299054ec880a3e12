package graph

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// drawing gathers elements.
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

// text writes within a width in pixels. What does not fit gets smaller, and then loses
// its middle: the ends of names tell more.
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
