package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// three parts; what each of them says can be changed.
type three struct {
	proof
	says map[string]string
	ran  []string
	out  bytes.Buffer
}

func newThree(t *testing.T) *three {
	t.Helper()
	dir := t.TempDir()
	w := &three{says: map[string]string{"one": "much\none: 0 leaks\n", "two": "two-a: 3 of 3 passed\ntwo-b: 1 of 1 passed\n", "three": "three: 0 leaks\n"}}
	w.proof = proof{
		parts: []part{{name: "one", last: "^one: 0 leaks"}, {name: "two", last: `^two-\w: (\d+) of (\d+) passed`, args: []string{"LONG=1"}}, {name: "three", last: "^three: 0 leaks"}},
		dir:   filepath.Join(dir, "results"), report: filepath.Join(dir, "report.md"), out: &w.out,
		now: result{Commit: "abc", Files: "f1", Kernel: "9.9", CPUs: 2},
		make: func(p part, log io.Writer) error {
			w.ran = append(w.ran, p.name)
			fmt.Fprint(log, w.says[p.name])
			if strings.Contains(w.says[p.name], "FAIL") {
				return errors.New("exit status 1")
			}
			return nil
		},
	}
	return w
}

// again runs the parts and wants these to be run, and that many to have passed.
func (w *three) again(t *testing.T, passed int, ran ...string) {
	t.Helper()
	w.ran = nil
	w.out.Reset()
	err := w.run()
	if (err == nil) != (passed == len(w.parts)) {
		t.Errorf("with %d of %d passed: %v", passed, len(w.parts), err)
	}
	if !slices.Equal(w.ran, ran) {
		t.Errorf("ran %v, want %v", w.ran, ran)
	}
	if want := fmt.Sprintf("proof: %d of 3 parts passed\n", passed); !strings.HasSuffix(w.out.String(), want) {
		t.Errorf("got %q, want %q at its end", w.out.String(), want)
	}
}

func TestResume(t *testing.T) {
	w := newThree(t)
	w.says["two"] = "two-a: 3 of 3 passed\nFAIL\n"
	w.again(t, 2, "one", "two", "three") // a part that fails does not keep the others from running
	w.says["two"] = "two-a: 3 of 3 passed\ntwo-b: 1 of 1 passed\n"
	w.again(t, 3, "two")
	w.again(t, 3)
	w.only = []string{"three"}
	w.again(t, 3, "three")
	w.only = []string{"report"}
	w.again(t, 3)
	w.only, w.fresh = nil, true
	w.again(t, 3, "one", "two", "three")
	w.fresh = false
	w.now.Files = "f2"
	w.again(t, 3, "one", "two", "three")
	w.only = []string{"four"}
	if err := w.run(); err == nil || !strings.Contains(err.Error(), "no such part") {
		t.Errorf("an unknown part: %v", err)
	}
}

func TestFailures(t *testing.T) {
	for name, text := range map[string]string{
		"a target that fails":         "one: 0 leaks\nFAIL",
		"one that finds something":    "one: 10 leaks",
		"one that says nothing":       "",
		"one that begins and is gone": "much",
	} {
		w := newThree(t)
		w.says["one"] = text
		t.Log(name)
		w.again(t, 2, "one", "two", "three")
	}
	w := newThree(t)
	w.says["two"] = "two-a: 3 of 3 passed\ntwo-b: 0 of 1 passed\n"
	w.again(t, 2, "one", "two", "three")
}

// TestStopped is a run that ends within a part: its old result is of no use any more.
func TestStopped(t *testing.T) {
	w := newThree(t)
	w.again(t, 3, "one", "two", "three")
	w.only = []string{"two"}
	whole := w.make
	w.make = func(part, io.Writer) error { panic("stopped") }
	func() {
		defer func() { _ = recover() }()
		_ = w.run()
	}()
	w.make, w.only = whole, nil
	w.again(t, 3, "two")
}

func TestReport(t *testing.T) {
	w := newThree(t)
	w.only = []string{"two"}
	w.again(t, 1, "two")
	w.now.Files = "f2"
	w.only = []string{"one"}
	w.again(t, 1, "one")
	text, err := os.ReadFile(w.report)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1 of 3 parts have passed on the files of commit abc.",
		"| one | yes | one: 0 leaks | 0 s | ", " | abc | 9.9, 2 |",
		"| two, LONG=1 | yes, on other files | two-a: 3 of 3 passed<br>two-b: 1 of 1 passed | 0 s |",
		"| three | not run |",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}
