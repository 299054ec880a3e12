package trace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shell runs a script; its effects are those of the programs that it starts, too.
func shell(t *testing.T, script string, change func(*Run)) Outcome {
	t.Helper()
	r := Run{Path: "/bin/sh", Env: []string{"PATH=/usr/bin:/bin"}, Stdin: []byte(script)}
	if change != nil {
		change(&r)
	}
	out, err := r.Do()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func find(t *testing.T, effects []Effect, name, detail string) int {
	t.Helper()
	for i, e := range effects {
		if e.Name == name && strings.Contains(e.Detail, detail) {
			return i + 1
		}
	}
	t.Fatalf("no %s %s in %v", name, detail, effects)
	return 0
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	script := "mkdir " + dir + "/a; mkdir " + dir + "/b; echo done"
	made := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	out := shell(t, script, nil)
	if string(out.Stdout) != "done\n" || out.Exit != 0 || !made("a") || !made("b") {
		t.Fatalf("without a hit: %+v", out)
	}
	at := find(t, out.Effects, "mkdir", "/b")
	clear := func() { _, _ = os.Remove(dir+"/a"), os.Remove(dir+"/b") }

	clear()
	if out := shell(t, script, func(r *Run) { r.At, r.Kill = at, Tree }); !out.Hit || out.Exit != -1 || !made("a") || made("b") || len(out.Stdout) > 0 {
		t.Errorf("tree: %+v", out)
	}
	clear()
	if out := shell(t, script, func(r *Run) { r.At, r.Kill = at, Leader }); !out.Hit || out.Exit != -1 || len(out.Stdout) > 0 {
		t.Errorf("leader: %+v", out)
	}
	// What it had started goes on alone.
	for end := time.Now().Add(10 * time.Second); !made("b") && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if !made("b") {
		t.Error("leader: its program ended with it")
	}
	clear()
	out = shell(t, script, func(r *Run) { r.At, r.Errno = at, unix.ENOSPC })
	if !out.Hit || out.Exit != 0 || made("b") || !strings.Contains(string(out.Stderr), "No space left") {
		t.Errorf("errno: %+v %s", out, out.Stderr)
	}
	out = shell(t, script, func(r *Run) {
		r.At, r.Errno, r.Spare = at, unix.ENOSPC, func(Effect) bool { return true }
	})
	if out.Hit || out.Exit != 0 || !made("b") {
		t.Errorf("spared: %+v %s", out, out.Stderr)
	}
}

func TestClock(t *testing.T) {
	out := shell(t, "", func(r *Run) { r.Path, r.Clock = "/bin/date", -10*366*24*time.Hour })
	if text := string(out.Stdout); text == "" || strings.Contains(text, time.Now().Format(" 2006")) {
		t.Errorf("the clock was not set back: %q %s", text, out.Stderr)
	}
}

// TestRestarts: a call that the kernel makes once more is one effect.
func TestRestarts(t *testing.T) {
	for result, want := range map[int64]bool{0: false, -int64(unix.EINTR): false, -512: true, -513: true, -516: true, -517: false, 513: false} {
		if got := (info{op: opExit, nr: uint64(result)}).restarts(); got != want {
			t.Errorf("%d: got %t", result, got)
		}
	}
}
