// Package show prints for people and for programs: tables, colours, JSON, YAML.
package show

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"sigs.k8s.io/yaml"
)

const grey = "8"

// Printer writes to one place, in one format.
type Printer struct {
	Out    io.Writer
	Format string // "table", "json" or "yaml"
	styles *lipgloss.Renderer
	width  int // of the lines; 0 where nothing limits it
}

// Formats are what a Printer may print.
var Formats = []string{"table", "json", "yaml"}

// New is a printer in one of Formats. Colours are for terminals only, and never with NO_COLOR set.
func New(out io.Writer, format string) *Printer {
	return &Printer{Out: out, Format: format, styles: lipgloss.NewRenderer(out), width: columns(out)}
}

// Value prints v as JSON or YAML, or calls people.
func (p *Printer) Value(v any, people func()) error {
	if p.Format == "table" {
		people()
		return nil
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if p.Format == "yaml" && err == nil {
		text, err = yaml.JSONToYAML(text)
	}
	if err == nil {
		_, err = fmt.Fprintln(p.Out, strings.TrimSuffix(string(text), "\n"))
	}
	return err
}

// Line prints a line, as the locale can show it.
func (p *Printer) Line(format string, args ...any) {
	fmt.Fprintln(p.Out, Plain(fmt.Sprintf(format, args...)))
}

// colour renders in one of 16 colours, which each terminal has chosen to be legible.
func (p *Printer) colour(s, number string) string {
	return p.styles.NewStyle().Foreground(lipgloss.Color(number)).Render(s)
}

// Good is for what is as it should be.
func (p *Printer) Good(s string) string { return p.colour(s, "2") }

// Warn is for what is not as it should be.
func (p *Printer) Warn(s string) string { return p.colour(s, "3") }

// Bad is for what does not work.
func (p *Printer) Bad(s string) string {
	return p.styles.NewStyle().Foreground(lipgloss.Color("1")).Bold(true).Render(s)
}

// Name is for names and commands.
func (p *Printer) Name(s string) string { return p.colour(s, "6") }

// Faint is for what is less important.
func (p *Printer) Faint(s string) string { return p.colour(s, grey) }

// Title is for headings.
func (p *Printer) Title(s string) string { return p.styles.NewStyle().Bold(true).Render(s) }

// State colours the state of an attachment.
func (p *Printer) State(s string) string {
	switch s {
	case "ok", "foreign":
		return p.Good(s)
	case "drift", "unsure":
		return p.Warn(s)
	}
	return p.Bad(s)
}

// Bytes is a number of bytes in three digits: "1.2 MB".
func Bytes(n uint64) string { return scaled(float64(n), "B") }

func scaled(f float64, unit string) string {
	for _, prefix := range []string{"", "k", "M", "G", "T"} {
		switch {
		case f < 10 && prefix != "":
			return fmt.Sprintf("%.1f %s%s", f, prefix, unit)
		case f < 999.5 || prefix == "T":
			return fmt.Sprintf("%.0f %s%s", f, prefix, unit)
		}
		f /= 1000
	}
	return ""
}

// Rate is a number per second.
func Rate(f float64, unit string) string { return scaled(f, unit) + "/s" }

// Age is how long ago t was, in its largest unit; "-" where it is not known.
func Age(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	switch d := now.Sub(*t); {
	case d < 0:
		return "future"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// Dash is s, or "-" for nothing.
func Dash(s string) string { return cmp.Or(s, "-") }

// Number is n, or "-" for 0.
func Number(n int) string { return Dash(strings.TrimLeft(fmt.Sprint(n), "0")) }

// Texts are the values for people.
func Texts[T fmt.Stringer](list []T) (texts []string) {
	for _, v := range list {
		texts = append(texts, v.String())
	}
	return texts
}

// List is the values, separated by commas.
func List[T fmt.Stringer](list []T) string { return strings.Join(Texts(list), ", ") }

// Count is "1 thing" or "2 things".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Hint asks for the word of the list that differs by few letters; "" if none does.
func Hint(word string, list []string) (text string) {
	least := len(word)/3 + 1
	for _, w := range list {
		if d := distance(strings.ToLower(word), strings.ToLower(w)); d <= least {
			text, least = ": did you mean \""+w+"\"?", d-1
		}
	}
	return text
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, last+1)
		}
	}
	return row[len(b)]
}
