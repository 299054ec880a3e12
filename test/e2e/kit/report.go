package kit

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// width is where a check's detail begins.
const width = 78

// Report prints checks as a table, one a line, and counts them.
type Report struct {
	name          string
	out           io.Writer
	passed, total int
}

// Section begins a part of the table.
func (r *Report) Section(title string) { fmt.Fprintf(r.out, "\n%s\n", title) }

// Check runs one check and prints its line: the result, what it shows, a detail, the
// time. It says whether the check passed; the report goes on either way.
func (r *Report) Check(what string, fn func() (detail string, err error)) bool {
	start := time.Now()
	detail, err := fn()
	took := time.Since(start).Round(10 * time.Millisecond)
	r.total++
	if err != nil {
		fmt.Fprintf(r.out, "  FAIL %-*s %8s\n", width, what, took)
		for line := range strings.SplitSeq(strings.TrimSpace(err.Error()), "\n") {
			fmt.Fprintf(r.out, "         %s\n", line)
		}
		return false
	}
	r.passed++
	fmt.Fprintf(r.out, "  ok   %-*s %8s  %s\n", width, what, took, detail)
	return true
}

// Do is Check for what has no detail to tell.
func (r *Report) Do(what string, fn func() error) bool {
	return r.Check(what, func() (string, error) { return "", fn() })
}

// end prints the last line and returns the exit status.
func (r *Report) end() int {
	fmt.Fprintf(r.out, "\n%s: %d of %d checks passed\n", r.name, r.passed, r.total)
	if r.passed != r.total || r.total == 0 {
		return 1
	}
	return 0
}
