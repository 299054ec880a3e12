package borders

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/command"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/doctor"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/lint"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// section is the part of a document from a heading to the next of its level.
func section(t *testing.T, path, heading string) string {
	t.Helper()
	_, text, ok := strings.Cut(read(t, path), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s: no heading %q", path, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// TestFigures: the main README's figures are those of the documents and of the code.
func TestFigures(t *testing.T) {
	bench := read(t, "test/bench/README.md")
	for bullet := range strings.SplitSeq(section(t, "README.md", "## Why"), "\n- ") {
		if !strings.Contains(bullet, "`make bench`") {
			continue
		}
		for _, n := range regexp.MustCompile(`\d[\d.,]*\d|\d`).FindAllString(bullet, -1) {
			if !regexp.MustCompile(`(^|[^\d.,])` + regexp.QuoteMeta(n) + `($|[^\d.,]|[.,]\D)`).MatchString(bench) {
				t.Errorf("README.md: %s is not among the figures of test/bench/README.md", n)
			}
		}
	}
	for _, path := range []string{"README.md", "plugins/bridgeport/README.md"} {
		if want := fmt.Sprintf("%d checks", len(doctor.Checks())); !strings.Contains(read(t, path), want) {
			t.Errorf("%s: doctor has %s", path, want)
		}
	}
	rows := strings.Count(read(t, "test/attack/README.md"), "\n| T")
	if want := fmt.Sprintf("%d kinds of attack", rows); !strings.Contains(read(t, "README.md"), want) {
		t.Errorf("README.md: test/attack has %s", want)
	}
}

// TestExamples: JSON in documents is a configuration that lint has nothing against.
func TestExamples(t *testing.T) {
	count := 0
	for _, d := range documents(t) {
		blocks := strings.Split(read(t, d.path), "```json\n")[1:]
		for _, block := range blocks {
			text, _, _ := strings.Cut(block, "```")
			for _, problem := range lint.File(d.path, []byte(text)) {
				t.Errorf("%s", problem)
			}
			count++
		}
	}
	if count < 4 {
		t.Errorf("found %d examples, one for each plugin is wanted", count)
	}
}

// TestMessages: the messages of the table of troubles are those of the plugins. In the
// table … stands for what differs.
func TestMessages(t *testing.T) {
	var code strings.Builder
	for _, dir := range []string{"pkg", "plugins"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				text, rerr := os.ReadFile(path)
				code.WriteString(strings.ReplaceAll(string(text), `\"`, `"`))
				return rerr
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for line := range strings.Lines(section(t, "plugins/bridgeport/README.md", "## Trouble by symptom")) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range span.FindAllStringSubmatch(cells[2], -1) {
			count++
			for part := range strings.SplitSeq(m[1], "…") {
				if !said(code.String(), strings.Trim(part, " ,:")) {
					t.Errorf("plugins/bridgeport/README.md: no plugin says %q", part)
				}
			}
		}
	}
	if count < 10 {
		t.Errorf("found only %d messages", count)
	}
}

// said says whether the text is in the code, in one piece or in two: one error wraps another.
func said(code, text string) bool {
	if strings.Contains(code, text) {
		return true
	}
	for i := range text {
		if text[i] == ' ' || text[i] == ':' {
			if strings.Contains(code, text[:i]) && strings.Contains(code, strings.TrimLeft(text[i:], " ")) {
				return true
			}
		}
	}
	return false
}

// lines are the command lines of a document: lines of code, and code within prose.
func (d document) lines() []string {
	code := strings.ReplaceAll(d.code, "\\\n", " ")
	return append(strings.Split(code, "\n"), d.spans...)
}

// TestCommands: every make target, and every sub-command and flag of bridgeport, that a
// document names exists.
func TestCommands(t *testing.T) {
	makefile := read(t, "Makefile")
	for _, d := range documents(t) {
		for _, line := range d.lines() {
			line, _, _ = strings.Cut(line, " #")
			for _, part := range regexp.MustCompile(`[|;<>]|&&`).Split(line, -1) {
				words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(part), "ExecStart="))
				if len(words) > 0 && (words[0] == "$" || words[0] == "sudo") {
					words = words[1:]
				}
				switch {
				case len(words) < 2:
				case words[0] == "make":
					checkTargets(t, d.path, makefile, words[1:])
				case filepath.Base(words[0]) == "bridgeport":
					checkFlags(t, d.path, words[1:])
				}
			}
		}
	}
}

func checkTargets(t *testing.T, path, makefile string, words []string) {
	t.Helper()
	for _, word := range words {
		name := regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
		if name.MatchString(word) && !strings.Contains(makefile, "\n"+word+": ") {
			t.Errorf("%s: make %s: no such target", path, word)
		}
	}
}

func checkFlags(t *testing.T, path string, words []string) {
	t.Helper()
	if !regexp.MustCompile(`^(-.*|[a-z]+)$`).MatchString(words[0]) {
		return // COMMAND
	}
	cmd, _, err := command.Root().Find(words)
	if err != nil {
		t.Errorf("%s: bridgeport %s: %v", path, strings.Join(words, " "), err)
		return
	}
	cmd.InitDefaultVersionFlag()
	for _, word := range words {
		flag, ok := strings.CutPrefix(word, "--")
		flag, _, _ = strings.Cut(flag, "=")
		if ok && flag != "help" && cmd.Flags().Lookup(flag) == nil && cmd.InheritedFlags().Lookup(flag) == nil {
			t.Errorf("%s: bridgeport %s: no flag --%s", path, strings.Join(words, " "), flag)
		}
	}
}
