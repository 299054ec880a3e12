package show

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/sys/unix"
)

// narrowest is the width in columns below which no line is broken further.
const narrowest = 60

// Terminal says whether a person may sit there. /dev/null is a character device, too.
func Terminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// columns is the width to print for: COLUMNS, or the terminal's; 0 where nothing limits it.
func columns(out any) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return max(n, narrowest)
	}
	if f, ok := out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return max(int(size.Col), narrowest)
		}
	}
	return 0
}

// plain has an ASCII form for each other character that the command prints.
var plain = strings.NewReplacer("→", "->", "⇦", "<-", "⇧", "^", "…", "...", "✗", "x", "●", "*", "○", "o", "◐", "!",
	"│", "|", "╎", ":", "├", "|", "└", "`", "─", "-", "·", "-", "–", "-")

// Plain is the text as the locale can show it: in ASCII where that is not UTF-8.
func Plain(text string) string {
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	if strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8") {
		return text
	}
	return plain.Replace(text)
}

// Wrap breaks a text at spaces into lines of at most width characters, indented but for the
// first. A width of 0 sets no limit.
func Wrap(text string, width int, indent string) string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		longer := strings.TrimLeft(*last+" "+word, " ")
		if *last != "" && width > 0 && lipgloss.Width(longer) > width {
			lines = append(lines, word)
			continue
		}
		*last = longer
	}
	return strings.Join(lines, "\n"+indent)
}

// Hang prints a text behind its head. Where the width asks for it the text goes on below
// itself, or below a head that leaves little room.
func (p *Printer) Hang(head, text string) {
	head, text = Plain(head), Plain(text)
	indent := lipgloss.Width(head)
	switch {
	case p.width == 0 || indent+lipgloss.Width(text) <= p.width:
		p.Line("%s%s", head, text)
	case indent > p.width/2:
		space := head[:len(head)-len(strings.TrimLeft(head, " "))] + "    "
		p.Line("%s\n%s%s", strings.TrimRight(head, " "), space, Wrap(text, p.width-len(space), space))
	default:
		p.Line("%s%s", head, Wrap(text, p.width-indent, strings.Repeat(" ", indent)))
	}
}

// Room is how many columns a text has that begins at column indent, most at most.
func (p *Printer) Room(indent, most int) int {
	if p.width == 0 {
		return most
	}
	return min(p.width-indent, most)
}

// Progress tells on a terminal what goes on, once that has lasted a second.
type Progress struct {
	steps atomic.Value // how much is done
	stop  chan struct{}
	done  sync.WaitGroup
}

// Busy begins to tell of what takes its time, on standard error if that is a terminal.
func Busy(what string) *Progress {
	g := &Progress{stop: make(chan struct{})}
	g.steps.Store("")
	if Terminal(os.Stderr) {
		g.done.Go(func() { g.tell(os.Stderr, what) })
	}
	return g
}

func (g *Progress) tell(to io.Writer, what string) {
	const home = "\r\x1b[K" // to the line's beginning, which is cleared
	begin, every := time.Now(), time.NewTicker(time.Second)
	defer every.Stop()
	for told := ""; ; told = home {
		select {
		case <-every.C:
			fmt.Fprintf(to, "%s%s%s: %ds", home, what, g.steps.Load(), int(time.Since(begin).Seconds()))
		case <-g.stop:
			fmt.Fprint(to, told)
			return
		}
	}
}

// Step tells how much is done.
func (g *Progress) Step(done, of int) { g.steps.Store(fmt.Sprintf(", %d of %d", done, of)) }

// Done ends it, and clears the line.
func (g *Progress) Done() {
	close(g.stop)
	g.done.Wait()
}
