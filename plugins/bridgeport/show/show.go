// Package show prints for people and for programs: tables, colours, JSON, YAML.
package show

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/lipgloss/table"
	"sigs.k8s.io/yaml"
)

// Printer writes to one place, in one format.
type Printer struct {
	Out    io.Writer
	Format string // "table", "json" or "yaml"
	styles *lipgloss.Renderer
}

// New is a printer. Colours are for terminals only, and never with NO_COLOR set.
func New(out io.Writer, format string) (*Printer, error) {
	switch format {
	case "table", "json", "yaml":
		return &Printer{Out: out, Format: format, styles: lipgloss.NewRenderer(out)}, nil
	}
	return nil, fmt.Errorf("-o: %q is none of table, json, yaml", format)
}

// Value prints v as JSON or YAML, or calls people.
func (p *Printer) Value(v any, people func()) error {
	switch p.Format {
	case "json":
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(p.Out, string(text))
		return err
	case "yaml":
		text, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = p.Out.Write(text)
		return err
	}
	people()
	return nil
}

// Line prints a line.
func (p *Printer) Line(format string, args ...any) { fmt.Fprintf(p.Out, format+"\n", args...) }

// The colours of states: 16 colours, which each terminal has chosen to be legible.
var (
	green  = lipgloss.Color("2")
	yellow = lipgloss.Color("3")
	red    = lipgloss.Color("1")
	cyan   = lipgloss.Color("6")
	grey   = lipgloss.Color("8")
)

// Good, Warn, Bad, Name and Faint colour a text.
func (p *Printer) Good(s string) string { return p.styles.NewStyle().Foreground(green).Render(s) }

// Warn is for what is not as it should be.
func (p *Printer) Warn(s string) string { return p.styles.NewStyle().Foreground(yellow).Render(s) }

// Bad is for what does not work.
func (p *Printer) Bad(s string) string {
	return p.styles.NewStyle().Foreground(red).Bold(true).Render(s)
}

// Name is for names and commands.
func (p *Printer) Name(s string) string { return p.styles.NewStyle().Foreground(cyan).Render(s) }

// Faint is for what is less important.
func (p *Printer) Faint(s string) string { return p.styles.NewStyle().Foreground(grey).Render(s) }

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

// Table prints rows under headings. A cell may have several lines.
func (p *Printer) Table(headings []string, rows [][]string) {
	t := table.New().Border(lipgloss.HiddenBorder()).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderHeader(false).BorderColumn(false).
		Headers(headings...).Rows(rows...).
		StyleFunc(func(row, col int) lipgloss.Style {
			s := p.styles.NewStyle()
			if col < len(headings)-1 {
				s = s.PaddingRight(2)
			}
			if row == table.HeaderRow {
				s = s.Foreground(grey)
			}
			return s
		})
	for line := range strings.Lines(t.Render()) {
		p.Line("%s", strings.TrimRight(line, " \n"))
	}
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
	d := now.Sub(*t)
	switch {
	case d < 0:
		return "future"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// Dash is s, or "-" for nothing.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Count is "1 thing" or "2 things".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Number is a whole number.
func Number(n int) string { return fmt.Sprint(n) }

// Wrap breaks a text into lines of at most width characters, where it has spaces; the
// following lines are indented.
func Wrap(text string, width int, indent string) string {
	var b strings.Builder
	used := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case used+1+n > width:
			b.WriteString("\n" + indent)
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}
