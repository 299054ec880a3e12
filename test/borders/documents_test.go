package borders

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// root is the top level of the repository. DOCUMENTS names another folder whose links are to be
// followed, such as an unpacked archive.
var root = cmp.Or(os.Getenv("DOCUMENTS"), "../..")

// top is what the top level holds, beside names with a dot and bin, which make makes.
var top = []string{"LICENSE", "Makefile", "README.md", "conf", "go.mod", "go.sum", "pkg", "plugins", "test"}

func TestTopLevel(t *testing.T) {
	list, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" {
			names = append(names, e.Name())
		}
	}
	if !slices.Equal(names, top) {
		t.Errorf("the top level holds %v, want %v", names, top)
	}
}

// TestReference: what names the version of the reference means the one that tests compare with.
func TestReference(t *testing.T) {
	pinned := regexp.MustCompile(`containernetworking/plugins (v[\d.]+)`).FindStringSubmatch(read(t, ".tools/go.mod"))
	if pinned == nil {
		t.Fatal(".tools/go.mod: no reference")
	}
	for _, path := range []string{"README.md", "pkg/README.md", "test/README.md", "test/packets/reference.txt", "test/suite/suite_test.go"} {
		if text := read(t, path); !regexp.MustCompile(regexp.QuoteMeta(pinned[1]) + `\b`).MatchString(text) {
			t.Errorf("%s: does not name the reference %s of .tools/go.mod", path, pinned[1])
		}
	}
}

// TestLength keeps the main README short: what is longer belongs beside what it describes.
func TestLength(t *testing.T) {
	const most = 6000 // bytes
	info, err := os.Stat(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > most {
		t.Errorf("README.md has %d bytes, at most %d are wanted", info.Size(), most)
	}
}

// document is one file of Markdown.
type document struct {
	path     string   // from the top level
	prose    string   // without blocks of code
	code     string   // the blocks of code
	spans    []string // code within prose
	headings []string // as the names that links use
}

// paths lists all files and directories from the top level, but what make makes.
func paths(t *testing.T) (list []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path) // both are relative
		if slices.Contains([]string{".git", ".cache", "bin"}, name) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		list = append(list, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// documents reads every *.md file.
func documents(t *testing.T) (list []document) {
	t.Helper()
	for _, path := range paths(t) {
		if strings.HasSuffix(path, ".md") {
			text, err := os.ReadFile(filepath.Join(root, path))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, parse(path, string(text)))
		}
	}
	if len(list) < 10 {
		t.Fatalf("found only %d documents", len(list))
	}
	return list
}

var span = regexp.MustCompile("`([^`]+)`")

func parse(path, text string) document {
	d := document{path: path}
	var prose, code strings.Builder
	fence := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "```"):
			fence = !fence
		case fence || strings.HasPrefix(line, "    "):
			code.WriteString(line)
		default:
			prose.WriteString(line)
			if level := strings.TrimLeft(line, "#"); level != line && strings.HasPrefix(level, " ") {
				d.headings = append(d.headings, anchor(level))
			}
		}
	}
	d.prose, d.code = prose.String(), code.String()
	for _, m := range span.FindAllStringSubmatch(d.prose, -1) {
		d.spans = append(d.spans, m[1])
	}
	return d
}

// anchor is the name that GitHub gives to a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks follows every relative link: to a file, and to a heading in it.
func TestLinks(t *testing.T) {
	all := paths(t)
	docs := documents(t)
	for _, d := range docs {
		for _, m := range link.FindAllStringSubmatch(d.prose, -1) {
			file, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := d.path
			if file != "" {
				target = filepath.Join(filepath.Dir(d.path), file)
			}
			if !slices.Contains(all, target) {
				t.Errorf("%s: link to %s, which does not exist", d.path, m[1])
				continue
			}
			i := slices.IndexFunc(docs, func(o document) bool { return o.path == target })
			if heading != "" && (i < 0 || !slices.Contains(docs[i].headings, heading)) {
				t.Errorf("%s: link to %s: %s has no such heading", d.path, m[1], target)
			}
		}
	}
}

var (
	// rooted is a path from the top level, of a file that the repository has or had.
	rooted = regexp.MustCompile(`^(conf|docs|pkg|plugins|test|\.ci|\.github|\.tools)/([\w.-]+/?)*$`)
	// source is a file of the repository by its end, and folder a directory by its slash.
	source = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)*\.(go|md|mod|s|sh|svg|tmpl|txt)$`)
	folder = regexp.MustCompile(`^\w[\w.-]*(/[\w.-]+)*/$`)
	made   = regexp.MustCompile(`^(bin|\.cache)/`)
)

// TestNamedFiles: what looks like a file of the repository is one. A name without the
// directories above it may be anywhere below the document.
func TestNamedFiles(t *testing.T) {
	all := paths(t)
	for _, d := range documents(t) {
		for _, word := range d.names() {
			name := strings.TrimSuffix(word, "/")
			below := func(path string) bool {
				rel, err := filepath.Rel(filepath.Dir(d.path), path)
				return path == name || err == nil && !strings.HasPrefix(rel, "..") && strings.HasSuffix("/"+rel, "/"+name)
			}
			if !slices.ContainsFunc(all, below) {
				t.Errorf("%s: speaks of %s, which does not exist", d.path, word)
			}
		}
	}
}

// names are the words of all code that look like a file of the repository. Within blocks of
// code a word with a slash at its end may be anything.
func (d document) names() (list []string) {
	for i, text := range append([]string{d.code}, d.spans...) {
		for _, word := range strings.Fields(text) {
			word = strings.TrimPrefix(strings.Trim(word, `"'(),;:`), "./")
			word = strings.TrimSuffix(word, "/...")
			if !made.MatchString(word) && (rooted.MatchString(word) || source.MatchString(word) || i > 0 && folder.MatchString(word)) {
				list = append(list, word)
			}
		}
	}
	return list
}
