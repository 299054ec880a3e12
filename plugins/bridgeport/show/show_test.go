package show

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// printed is what fn prints within so many columns.
func printed(width int, fn func(p *Printer)) string {
	var b bytes.Buffer
	p := New(&b, "table")
	p.width = width
	fn(p)
	return b.String()
}

func TestTable(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	table := func(p *Printer) {
		p.Table([]string{"NAME", "LINK", "ADDRESS", "AGE"}, [][]string{
			{"web", "veth0123456789a", "10.60.0.2\nfd60::2", "3s"}, {"a name of several words", "veth1", "10.60.0.3", "4s"},
		}, "LINK", "AGE")
	}
	for width, want := range map[int]string{
		0: `NAME                     LINK             ADDRESS    AGE
web                      veth0123456789a  10.60.0.2  3s
                                          fd60::2
a name of several words  veth1            10.60.0.3  4s
`,
		45: `NAME                     ADDRESS    AGE
web                      10.60.0.2  3s
                         fd60::2
a name of several words  10.60.0.3  4s
left out for want of width: LINK
`,
		28: `NAME               ADDRESS
web                10.60.0.2
                   fd60::2
a name of several  10.60.0.3
words
left out for want of width:
LINK, AGE
`,
	} {
		if got := printed(width, table); got != want {
			t.Errorf("%d columns:\n%s\nwant:\n%s", width, got, want)
		}
	}
}

func TestHang(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	for _, tt := range []struct {
		width            int
		head, text, want string
	}{
		{0, "  ports  ", "one  two three", "  ports  one  two three\n"},
		{30, "  ports  ", "one  two three", "  ports  one  two three\n"},
		{18, "  ports  ", "one two three", "  ports  one two\n         three\n"},
		{20, "  a long head: ", "one two three", "  a long head:\n      one two three\n"},
		{16, "a long head: ", "one two three", "a long head:\n    one two\n    three\n"},
		{16, "x ", "averyveryverylongword two", "x averyveryverylongword\n  two\n"},
	} {
		if got := printed(tt.width, func(p *Printer) { p.Hang(tt.head, tt.text) }); got != tt.want {
			t.Errorf("%d columns: %q, want %q", tt.width, got, tt.want)
		}
	}
}

func TestPlain(t *testing.T) {
	for env, ascii := range map[string]bool{
		"": true, "LANG=C": true, "LANG=de_DE.UTF-8": false, "LANG=C LC_CTYPE=C.utf8": false, "LANG=de_DE.UTF-8 LC_ALL=POSIX": true, "LC_ALL=en_US.UTF-8 LANG=C": false,
	} {
		t.Run(env, func(t *testing.T) {
			for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
				t.Setenv(name, "")
			}
			for _, pair := range strings.Fields(env) {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value)
			}
			if got := Plain("8080→80/tcp … ├─●"); got != "8080->80/tcp ... |-*" == ascii {
				t.Errorf("%s", got)
			}
		})
	}
}

// A terminal's own size counts where COLUMNS says nothing.
func TestColumns(t *testing.T) {
	t.Setenv("COLUMNS", "")
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	for size, want := range map[uint16]int{0: 0, 40: narrowest, 60: 60, 133: 133} {
		if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: size}); err != nil {
			t.Fatal(err)
		}
		if got := columns(master); got != want {
			t.Errorf("terminal of %d: %d, want %d", size, got, want)
		}
	}
	for value, want := range map[string]int{"": 0, "x": 0, "0": 0, "-3": 0, "20": narrowest, "100": 100} {
		t.Setenv("COLUMNS", value)
		if got := columns(&bytes.Buffer{}); got != want {
			t.Errorf("COLUMNS=%s: %d, want %d", value, got, want)
		}
	}
	if !Terminal(master) {
		t.Error("a pseudo-terminal is a terminal")
	}
}

func TestProgress(t *testing.T) {
	told := func(lasts time.Duration) string {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		g := &Progress{stop: make(chan struct{})}
		g.Step(3, 7)
		g.done.Go(func() { g.tell(w, "mending") })
		time.Sleep(lasts) // the work of which progress is told
		g.Done()
		_ = w.Close()
		var b bytes.Buffer
		_, _ = b.ReadFrom(r)
		return b.String()
	}
	if got := told(10 * time.Millisecond); got != "" {
		t.Errorf("said %q at once", got)
	}
	if got, want := told(1500*time.Millisecond), "\r\x1b[Kmending, 3 of 7: 1s\r\x1b[K"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
	Busy("nothing").Done()
}

func TestHint(t *testing.T) {
	for word, want := range map[string]string{"jsn": `: did you mean "json"?`, "YAML": `: did you mean "yaml"?`, "pretty": "", "": ""} {
		if got := Hint(word, Formats); got != want {
			t.Errorf("%s", fmt.Sprintf("%q: %q, want %q", word, got, want))
		}
	}
}
