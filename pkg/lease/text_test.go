package lease

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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
			text, _ := readText(tt.path, tt.flags, maxResolvConf)
			done <- text
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
