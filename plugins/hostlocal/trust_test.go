package hostlocal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTrusted: leases are not kept where somebody else could plant files.
func TestTrusted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give directories away")
	}
	tests := []struct {
		name  string
		spoil func(dataDir, dir string) error
		want  string
	}{
		{"as we make it", func(_, _ string) error { return nil }, ""},
		{"root's group", func(dataDir, _ string) error { return os.Chmod(dataDir, 0o775) }, ""},
		{"everybody", func(dataDir, _ string) error { return os.Chmod(dataDir, 0o777) }, "everybody may write"},
		{"everybody, sticky", func(dataDir, _ string) error { return os.Chmod(dataDir, 0o1777) }, "everybody may write"},
		{"a user's", func(_, dir string) error { return os.Chown(dir, 1000, 0) }, "belongs to user 1000"},
		{"a group's", func(_, dir string) error { return errors.Join(os.Chown(dir, 0, 1000), os.Chmod(dir, 0o775)) }, "group 1000 may write"},
		{"a link to elsewhere", func(dataDir, dir string) error {
			return errors.Join(os.Rename(dir, dataDir+".other"), os.Symlink(dataDir+".other", dir))
		}, "is no directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dataDir := filepath.Join(t.TempDir(), "data")
			dir := filepath.Join(dataDir, "net")
			err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dataDir, 0o755), tt.spoil(dataDir, dir))
			if err != nil {
				t.Fatal(err)
			}
			s, err := open(dataDir, "net", true)
			if err == nil {
				defer s.Close()
			}
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestReadText: what is no file is neither followed, waited for nor read.
func TestReadText(t *testing.T) {
	dir := t.TempDir()
	file, link, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	err := errors.Join(os.WriteFile(file, []byte("text"), 0o600), os.Symlink(file, link), unix.Mkfifo(fifo, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path  string
		flags int
		want  string
	}{{file, unix.O_NOFOLLOW, "text"}, {link, 0, "text"}, {link, unix.O_NOFOLLOW, ""}, {fifo, 0, ""}, {dir, 0, ""}, {"/dev/zero", 0, ""}} {
		done := make(chan string)
		go func() {
			data, _ := readText(tt.path, tt.flags)
			done <- string(data)
		}()
		select {
		case got := <-done:
			if got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.path, got, tt.want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: hangs", tt.path)
		}
	}
}
