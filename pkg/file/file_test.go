package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// want compares the file's content and mode, and that nothing else is in its folder.
func want(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	got, err := Read(path)
	if err != nil || string(got) != text {
		t.Errorf("content %.20q, %v, want %.20q", got, err, text)
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != mode {
		t.Errorf("mode %v, %v, want %v", st.Mode(), err, mode)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("beside it: %v, %v", list, err)
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "file")
	long := strings.Repeat("long ", 1000)
	for _, tt := range []struct {
		text string
		mode os.FileMode
	}{{long, 0o600}, {"short", 0o755}, {"", 0o666}} {
		if err := Replace(path, []byte(tt.text), tt.mode); err != nil {
			t.Fatal(err)
		}
		want(t, path, tt.text, tt.mode)
	}
}

// TestReplaceRunning: who has the old file open keeps it.
func TestReplaceRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Replace(path, []byte("old"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Replace(path, []byte("new"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 10)
	if n, err := f.Read(got); err != nil || string(got[:n]) != "old" {
		t.Errorf("got %q, %v", got[:n], err)
	}
	want(t, path, "new", 0o755)
}

// TestReplaceFails: where a folder is in the way the temporary file goes again.
func TestReplaceFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, nil, 0o644); err == nil || !strings.HasPrefix(err.Error(), path+": replace: ") {
		t.Errorf("got %v", err)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}

func TestOverwrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"first and long", "second", ""} {
		if err := Overwrite(path, 0o600, text); err != nil {
			t.Fatal(err)
		}
		want(t, path, text, 0o600)
	}
}
