package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// TestMain is also the plugins under test: a copy of this program under a plugin's name says a version.
// Go notes this module in it, so the copy is ours.
func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0])
	for _, n := range Names {
		if n == name {
			fmt.Println("CNI " + name + " plugin")
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// set makes a directory with our set, whose files end in mark.
func set(t *testing.T, mark string) string {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names {
		write(t, filepath.Join(dir, name), string(program)+mark)
	}
	return dir
}

// theirs is the text of a plugin that is not ours.
func theirs(version string) string { return "#!/bin/sh\necho CNI other plugin " + version + "\n" }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// ends says how each file of bin ends: of which set it is.
func ends(t *testing.T, bin string) string {
	t.Helper()
	var words []string
	for _, name := range Names {
		data, err := os.ReadFile(filepath.Join(bin, name))
		word := "-"
		switch text := string(data); {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			t.Fatal(err)
		case strings.HasPrefix(text, "#!"):
			word = strings.Fields(text)[5]
		default:
			word = text[len(text)-2:]
		}
		words = append(words, word)
	}
	left, err := filepath.Glob(filepath.Join(bin, ".bridgeport-[no]*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	return strings.Join(words, " ")
}

func want(t *testing.T, bin, files string) {
	t.Helper()
	if got := ends(t, bin); got != files {
		t.Errorf("got %q, want %q", got, files)
	}
}

func done(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func do(t *testing.T, fn func() ([]Changed, error)) []Changed {
	t.Helper()
	changed, err := fn()
	done(t, err)
	return changed
}

func TestWays(t *testing.T) {
	one, two, bin := set(t, "#1"), set(t, "#2"), t.TempDir()
	for _, name := range []string{"bridge", "portmap"} {
		write(t, filepath.Join(bin, name), theirs("v1"))
	}
	done(t, os.Symlink("bridge", filepath.Join(bin, "host-local")))
	in := func(from string) []Changed { return do(t, func() ([]Changed, error) { return Set(from, bin) }) }
	last := func() []Changed { return do(t, func() ([]Changed, error) { return Rollback(bin) }) }
	first := func() []Changed { return do(t, func() ([]Changed, error) { return Reference(bin) }) }

	if _, err := Rollback(bin); !errors.Is(err, ErrNothingKept) {
		t.Errorf("rollback of nothing: %v", err)
	}
	in(one)
	want(t, bin, "#1 #1 #1 #1 #1")
	if _, err := Rollback(bin); !errors.Is(err, ErrNothingKept) {
		t.Errorf("rollback without a set of ours before: %v", err)
	}
	if changed := in(one); changed != nil {
		t.Errorf("the same set again changed %v", changed)
	}
	in(two)
	in(two)
	want(t, bin, "#2 #2 #2 #2 #2")
	last()
	want(t, bin, "#1 #1 #1 #1 #1")
	last()
	want(t, bin, "#2 #2 #2 #2 #2")
	first()
	want(t, bin, "v1 v1 v1 - #2")
	if target, err := os.Readlink(filepath.Join(bin, "host-local")); target != "bridge" {
		t.Errorf("the symbolic link leads to %q, %v", target, err)
	}
	last()
	want(t, bin, "#2 #2 #2 #2 #2")
	// Somebody upgrades the reference over ours: the newer one is what we go back to.
	write(t, filepath.Join(bin, "new"), theirs("v2"))
	done(t, os.Rename(filepath.Join(bin, "new"), filepath.Join(bin, "bridge")))
	in(one)
	first()
	want(t, bin, "v2 v1 v2 - #1") // host-local is a link to bridge
	if data, err := os.ReadFile(filepath.Join(bin, foreign, "bridge")); string(data) != theirs("v1") {
		t.Errorf("the first one was not kept: %s, %v", data, err)
	}
	done(t, Remove(bin))
	want(t, bin, "v2 v1 v2 - -")
	if left, err := os.ReadDir(bin); err != nil || len(left) != 3 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestMemory: the DaemonSet's container has 64 MB, with what the kernel keeps of files.
func TestMemory(t *testing.T) {
	big := set(t, strings.Repeat("#", 20<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do(t, func() ([]Changed, error) { return Set(big, t.TempDir()) })
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 16 {
		t.Errorf("%d MB for files of 25 MB", used)
	}
}

func TestFresh(t *testing.T) {
	one, bin := set(t, "#1"), filepath.Join(t.TempDir(), "opt", "bin")
	do(t, func() ([]Changed, error) { return Set(one, bin) })
	if _, err := Reference(bin); !errors.Is(err, ErrNothingKept) || HasReference(bin) {
		t.Errorf("reference where none was: %v", err)
	}
	done(t, Remove(bin))
	if left, err := os.ReadDir(bin); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A set without the command, as the DaemonSet's, leaves the command that is there.
func TestWithoutCommand(t *testing.T) {
	one, two, bin := set(t, "#1"), set(t, "#2"), t.TempDir()
	do(t, func() ([]Changed, error) { return Set(one, bin) })
	done(t, os.Remove(filepath.Join(two, command)))
	do(t, func() ([]Changed, error) { return Set(two, bin) })
	want(t, bin, "#2 #2 #2 #2 #1")
	do(t, func() ([]Changed, error) { return Rollback(bin) })
	want(t, bin, "#1 #1 #1 #1 #1")
}

func TestRefused(t *testing.T) {
	one, bin := set(t, "#1"), t.TempDir()
	write(t, filepath.Join(bin, "bridge"), theirs("v1"))
	done(t, os.Mkdir(filepath.Join(bin, "portmap"), 0o755)) // can't be kept
	if _, err := Set(one, bin); err == nil {
		t.Error("a set that can't be kept was replaced")
	}
	if text, err := os.ReadFile(filepath.Join(bin, "bridge")); string(text) != theirs("v1") {
		t.Errorf("changed: %s, %v", text, err)
	}
	write(t, filepath.Join(one, "portmap"), "no program")
	if _, err := Set(one, bin); err == nil || !strings.Contains(err.Error(), "does not say its version") {
		t.Errorf("no plugin: %v", err)
	}
}

// TestAlone: of two at once each leaves a whole set.
func TestAlone(t *testing.T) {
	one, two, bin := set(t, "#1"), set(t, "#2"), t.TempDir()
	do(t, func() ([]Changed, error) { return Set(one, bin) })
	for range 5 {
		var both sync.WaitGroup
		for _, from := range []string{one, two} {
			both.Go(func() {
				if _, err := Set(from, bin); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if got := ends(t, bin); got != "#1 #1 #1 #1 #1" && got != "#2 #2 #2 #2 #2" {
			t.Errorf("two at once: %q", got)
		}
	}
}

func TestIdle(t *testing.T) {
	bin := t.TempDir()
	if err := Idle(bin, 0); err != nil {
		t.Error(err)
	}
	done(t, os.Mkdir(filepath.Join(bin, previous), 0o755))
	self, err := os.Executable()
	done(t, err)
	done(t, os.Symlink(self, filepath.Join(bin, previous, "portmap")))
	if err := Idle(bin, 0); err == nil || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("this process runs it: %v", err)
	}
}
