package show

import (
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/lipgloss/table"
)

const (
	between  = 2 // spaces between two columns
	thinnest = 8 // no column is made narrower
)

// Table prints rows under headings. A cell may have several lines. Where the width does not
// suffice, the spare columns are left out, the first one first; then cells are broken.
func (p *Printer) Table(headings []string, rows [][]string, spare ...string) {
	headings, widths := slices.Clone(headings), make([]int, len(headings))
	for i, h := range headings {
		widths[i] = lipgloss.Width(h)
	}
	lines := make([][]string, len(rows))
	for r, row := range rows {
		for i, cell := range row {
			cell = Plain(cell)
			lines[r] = append(lines[r], cell)
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	var left []string
	for ; p.lacks(widths) > 0 && len(spare) > 0; spare = spare[1:] {
		if i := slices.Index(headings, spare[0]); i >= 0 {
			left = append(left, spare[0])
			headings, widths = slices.Delete(headings, i, i+1), slices.Delete(widths, i, i+1)
			for r := range lines {
				lines[r] = slices.Delete(lines[r], i, i+1)
			}
		}
	}
	p.squeeze(widths, lines)
	p.grid(headings, lines)
	if len(left) > 0 {
		p.Hang("", p.Faint("left out for want of width: "+strings.Join(left, ", ")))
	}
}

// lacks is by how many columns a table of such cells is too wide.
func (p *Printer) lacks(widths []int) int {
	total := between * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	if p.width == 0 {
		return 0
	}
	return total - p.width
}

// squeeze breaks the cells of the widest columns until the table has room.
func (p *Printer) squeeze(widths []int, lines [][]string) {
	before := slices.Clone(widths)
	for p.lacks(widths) > 0 && slices.Max(widths) > thinnest {
		widths[slices.Index(widths, slices.Max(widths))]--
	}
	for _, row := range lines {
		for i, cell := range row {
			if widths[i] < before[i] {
				row[i] = strings.TrimRight(p.styles.NewStyle().Width(widths[i]).Render(cell), " ")
			}
		}
	}
}

func (p *Printer) grid(headings []string, rows [][]string) {
	t := table.New().Border(lipgloss.HiddenBorder()).
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).BorderHeader(false).BorderColumn(false).
		Headers(headings...).Rows(rows...).
		StyleFunc(func(row, col int) lipgloss.Style {
			s := p.styles.NewStyle()
			if col < len(headings)-1 {
				s = s.PaddingRight(between)
			}
			if row == table.HeaderRow {
				s = s.Foreground(lipgloss.Color(grey))
			}
			return s
		})
	for line := range strings.Lines(t.Render()) {
		p.Line("%s", strings.TrimRight(line, " \n"))
	}
}
