package trace

import (
	"fmt"
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
	for _, filter := range []bool{false, true} {
		t.Run(fmt.Sprint("filter ", filter), func(t *testing.T) { testRun(t, filter) })
	}
}

func testRun(t *testing.T, filter bool) {
	dir := t.TempDir()
	shell := func(t *testing.T, script string, change func(*Run)) Outcome {
		return shell(t, script, func(r *Run) {
			if change != nil {
				change(r)
			}
			r.Filter = filter && r.Kill != Leader
		})
	}
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
	if !out.Hit || out.Exit != 0 || made("b") || !out.Changed || len(out.After) == 0 || !strings.Contains(string(out.Stderr), "No space left") {
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

// TestChanged wants nothing to have changed exactly where no call that was executed could.
func TestChanged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for script, want := range map[string]bool{
		"echo told; (exit 0); cat </dev/null": false, // the result, processes
		"echo x >" + file:                     true,
		": >>" + file:                         false, // it is there and stays as it is
		": >" + file:                          true,  // it is emptied
		"rm " + file:                          true,
	} {
		_ = os.WriteFile(file, []byte("text"), 0o600)
		for _, filter := range []bool{false, true} {
			if out := shell(t, script, func(r *Run) { r.Filter = filter }); out.Changed != want {
				t.Errorf("%s (filter %t): changed %t: %v", script, filter, out.Changed, out.Effects)
			}
		}
	}
	out := shell(t, "rm "+file, nil)
	at := find(t, out.Effects, "unlinkat", "file")
	_ = os.WriteFile(file, nil, 0o600)
	if out := shell(t, "rm "+file, func(r *Run) { r.At, r.Errno = at, unix.EPERM }); out.Changed {
		t.Errorf("the call that failed has changed something: %+v", out)
	}
}
