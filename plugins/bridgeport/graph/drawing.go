package graph

import (
	"bytes"
	"encoding/xml"
	"fmt"
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

// text writes within a width in pixels; what does not fit ends in "…".
func (d *drawing) text(x, y, width, size float64, class, colour, s string) {
	per := size * 0.56
	if strings.Contains(class, "mono") {
		per = size * 0.61
	}
	if most := int(width / per); len([]rune(s)) > most {
		s = string([]rune(s)[:max(most-1, 0)]) + "…"
	}
	d.add(`<text x="%.1f" y="%.1f" font-size="%.1f" class="%s" fill="%s">%s</text>`, x, y, size, class, colour, escape(s))
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}
