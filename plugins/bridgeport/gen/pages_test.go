package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPages: each page of a command tells its exit status, each page of a plugin has the keys
// of its README.
func TestPages(t *testing.T) {
	dir := t.TempDir()
	t.Chdir("../../..")
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(text), `\-`, "-")
	}
	pages, err := filepath.Glob(filepath.Join(dir, "man", "man1", "*.1"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		text := read(page)
		if status := strings.Index(text, ".SH EXIT STATUS\n0 "); status < 0 || status > strings.Index(text+".SH SEE ALSO", ".SH SEE ALSO") || strings.Contains(text, "Exit status:") {
			t.Errorf("%s: no exit status at its place", page)
		}
	}
	for _, p := range plugins {
		page, keys := read(filepath.Join(dir, "man", "man8", p[1]+".8")), 0
		for line := range strings.Lines(read(filepath.Join("plugins", p[0], "README.md"))) {
			if key, is := strings.CutPrefix(line, "| `"); is {
				keys++
				key, _, _ = strings.Cut(key, "`")
				if !strings.Contains(page, key) {
					t.Errorf("%s: no %s", p[1], key)
				}
			}
		}
		if keys == 0 || strings.Contains(page, "](") || !strings.Contains(page, ".SH NAME\n"+p[1]+" - ") {
			t.Errorf("%s: %d keys, or a link, or no name", p[1], keys)
		}
	}
}
