package plainfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// TestReplace: the new content and mode are there, or the old file as it was, and nothing
// beside it.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	failure := errors.New("no more")
	for _, left := range []string{"", "half of it"} {
		if left != "" { // by one that was killed
			if err := os.WriteFile(filepath.Join(dir, ".file.new"), []byte(left), 0o400); err != nil {
				t.Fatal(err)
			}
		}
		if err := Replace(path, strings.NewReader("new"+left), 0o751); err != nil {
			t.Fatal(err)
		}
		if err := Replace(path, iotest.ErrReader(failure), 0o600); !errors.Is(err, failure) {
			t.Errorf("got %v", err)
		}
		text, err := os.ReadFile(path)
		info, serr := os.Stat(path)
		if err != nil || serr != nil || string(text) != "new"+left || info.Mode().Perm() != 0o751 {
			t.Errorf("got %q, %v, %v", text, info.Mode(), errors.Join(err, serr))
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
			t.Errorf("got %v, %v, want the file alone", list, err)
		}
	}
	if err := Replace(filepath.Join(dir, "none", "file"), strings.NewReader(""), 0o600); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the directory: got %v", err)
	}
}
