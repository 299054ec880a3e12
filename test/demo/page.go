package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// SGR sequences (ECMA-48).
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

// column is where the observed values begin.
const column = 46

// textWidth is how long the lines of a quoted text get.
const textWidth = 85

// page is what the demo prints, and the count of its checks.
type page struct {
	out           io.Writer
	colour        bool
	passed, total int
}

func newPage(f *os.File) *page {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	return &page{out: f, colour: err == nil && !plain}
}

func (p *page) paint(style, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (p *page) title(text string) {
	fmt.Fprintf(p.out, "\n%s\n\n", p.paint(bold, text))
}

func (p *page) heading(number int, text string) {
	fmt.Fprintf(p.out, "\n%s\n\n", p.paint(bold+";"+cyan, fmt.Sprintf("%d. %s", number, text)))
}

// say prints a short explanation.
func (p *page) say(lines ...string) {
	for _, l := range lines {
		if l != "" {
			l = "   " + l
		}
		fmt.Fprintln(p.out, l)
	}
}

func (p *page) picture(lines ...string) {
	fmt.Fprintf(p.out, "\n%s\n\n", p.paint(cyan, strings.Join(lines, "\n")))
}

// typed prints the commands that the plugins replace. A line that begins with a
// space continues the one before.
func (p *page) typed(commands ...string) {
	fmt.Fprintln(p.out)
	for _, c := range commands {
		prompt := "     $ "
		if c[0] == ' ' {
			prompt = "       "
		}
		fmt.Fprintln(p.out, p.paint(dim, prompt+c))
	}
	fmt.Fprintln(p.out)
}

// check prints one observation. It passed exactly if err is nil.
func (p *page) check(what, seen string, err error) bool {
	p.total++
	if err != nil {
		fmt.Fprintf(p.out, "   %s %s\n", p.paint(red, "✗"), what)
		for _, l := range wrap(err.Error()) {
			fmt.Fprintf(p.out, "       %s\n", p.paint(red, l))
		}
		return false
	}
	p.passed++
	gap := strings.Repeat(" ", max(1, column-utf8.RuneCountInString(what)))
	fmt.Fprintf(p.out, "   %s %s%s%s\n", p.paint(green, "✓"), what, gap, seen)
	return true
}

// equal is a check that two texts are the same.
func (p *page) equal(what, got, want string, err error) bool {
	if err == nil && got != want {
		err = fmt.Errorf("seen: %s\nexpected: %s", orNothing(got), orNothing(want))
		got = ""
	}
	return p.check(what, got, err)
}

// fails is a check that passes exactly if err is there and mentions all words.
func (p *page) fails(what string, err error, words ...string) bool {
	if err == nil {
		return p.check(what, "", errors.New("it worked, but was expected to fail"))
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			return p.check(what, "", fmt.Errorf("failed as expected, but says nothing of %q: %w", word, err))
		}
	}
	reason := cause(err)
	if column+len(reason) < textWidth {
		return p.check(what, "fails, as it should: "+reason, nil)
	}
	p.check(what, "fails, as it should, and says:", nil)
	for _, l := range wrap(reason) {
		fmt.Fprintf(p.out, "       %s\n", p.paint(cyan, l))
	}
	return true
}

// cause is the innermost error: what the kernel or the plugin said.
func cause(err error) string {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

// wrap breaks lines between words. Words are never cut, so that they can be copied.
func wrap(text string) []string {
	var lines []string
	for l := range strings.SplitSeq(text, "\n") {
		line := ""
		for word := range strings.FieldsSeq(l) {
			if line != "" && len(line)+1+len(word) > textWidth {
				lines, line = append(lines, line), ""
			}
			line = strings.TrimLeft(line+" "+word, " ")
		}
		lines = append(lines, line)
	}
	return lines
}

// verdict prints the last lines and tells the exit status.
func (p *page) verdict(took time.Duration) int {
	style, code := green, 0
	if p.passed != p.total {
		style, code = red, 1
	}
	fmt.Fprintf(p.out, "\n   %s\n", p.paint(dim, fmt.Sprintf("The whole run took %.1f s.", took.Seconds())))
	fmt.Fprintln(p.out, p.paint(bold+";"+style, fmt.Sprintf("demo: %d of %d checks passed", p.passed, p.total)))
	return code
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// ms is a duration as people compare it.
func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
