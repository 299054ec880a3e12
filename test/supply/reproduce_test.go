package supply

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReproducible: the plugins have the same bytes when somebody builds them in another folder, with
// another home, umask, time zone, locale and number of processors. `make release-check` does the same
// with all files of a release, as another user with empty caches.
func TestReproducible(t *testing.T) {
	dir := t.TempDir()
	away := filepath.Join(dir, "another folder")
	if err := carry(away); err != nil {
		t.Fatal(err)
	}
	here := build(t, "../..", filepath.Join(dir, "here"))
	there := build(t, away, "there", "HOME="+away, "USER=another", "LOGNAME=another", "TZ=Pacific/Kiritimati", "LC_ALL=C.UTF-8", "GOMAXPROCS=3")
	if bytes.Equal(here, there) {
		return
	}
	at := 0
	for at < min(len(here), len(there)) && here[at] == there[at] {
		at++
	}
	t.Errorf("%d and %d bytes, which differ from byte %d on: %q, %q", len(here), len(there), at, here[at:min(at+80, len(here))], there[at:min(at+80, len(there))])
	if i := bytes.Index(there, []byte(away)); i >= 0 {
		t.Errorf("the program has the folder's name: %q", there[i:min(i+120, len(there))])
	}
}

// linked leaves out the link's number, which tells the comments of carry.
const linked = "-s -w -buildid="

// build builds the plugins of a folder, by the Makefile, into another or one below it.
func build(t *testing.T, from, to string, env ...string) []byte {
	t.Helper()
	cmd := exec.Command("make", "-s", "-C", from, "plugins", "LDFLAGS="+linked, "OUT="+to)
	if env != nil {
		cmd.Args = append([]string{"sh", "-c", `umask 077; exec "$@"`, "sh"}, cmd.Args...)
		cmd.Path = "/bin/sh"
		to = filepath.Join(from, to)
	}
	cmd.Env = os.Environ()
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} { // Go's own packages are not compiled again
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, name+"="+strings.TrimSpace(string(value)))
	}
	cmd.Env = append(cmd.Env, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make plugins: %v: %s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(to, "bridge"))
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// carry copies what the plugins are made of. Each file of code gets a comment of this moment at its
// end: Go must compile it, since no cache has it.
func carry(to string) error {
	for _, name := range []string{"pkg", "plugins"} {
		if err := os.CopyFS(filepath.Join(to, name), os.DirFS("../../"+name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"Makefile", "go.mod", "go.sum"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o600); err != nil {
			return err
		}
	}
	comment := fmt.Sprintf("\n// %d\n", time.Now().UnixNano())
	return filepath.WalkDir(to, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(comment)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return err
	})
}
