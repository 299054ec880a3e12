// Package plain_test builds the plugins without the entry of plugins/start, by the
// Makefile's off-switch, and runs scenarios with them. `make test-plain` runs all scenarios.
package plain_test

import (
	"debug/elf"
	"debug/gosym"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// focus is one scenario or a few of each kind: all verbs, both families, ports, many at
// once, an undone ADD, a delegate that is executed, no sleep, each runtime's habits.
const focus = `dual stack with ports|a published port tcp|reaches out udp|containers at once get|` +
	`with everything in place|GC removes|loopback brings|loopback answers in|an IPAM plugin that is not there|` +
	`nothing sleeps|VERSION|nerdctl`

const fewest = 20 // specs: fewer mean that the names changed

func TestScenarios(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("make", "-C", "../..", "plugins", "PLAIN=1", "OUT="+dir).CombinedOutput(); err != nil {
		t.Fatalf("make plugins: %v: %s", err, out)
	}
	if got := entry(t, filepath.Join(dir, "bridge")); !strings.HasPrefix(got, "_rt0_") {
		t.Errorf("PLAIN=1: the plugins begin at %s, want Go's own entry", got)
	}
	cmd := exec.Command("go", "test", "-count=1", "-v", "../scenario", "-ginkgo.focus="+focus)
	cmd.Env = append(os.Environ(), "BRIDGEPORT_BIN="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ran := regexp.MustCompile(`Ran (\d+) of`).FindSubmatch(out)
	if ran == nil {
		t.Fatalf("no count of specs: %s", out)
	}
	if n, _ := strconv.Atoi(string(ran[1])); n < fewest {
		t.Errorf("only %d specs ran, want %d: adjust focus", n, fewest)
	}
}

// TestEntry: `make build` does use the entry, where there is one for the processor.
func TestEntry(t *testing.T) {
	want := "bridgeport_entry"
	if _, err := os.Stat("../../plugins/start/entry_linux_" + runtime.GOARCH + ".s"); err != nil {
		want = "_rt0_" + runtime.GOARCH + "_linux"
	}
	if got := entry(t, "../../bin/bridge"); got != want {
		t.Errorf("bin/bridge begins at %s, want %s: run `make build`", got, want)
	}
}

// entry names the function with which the kernel begins an executable.
func entry(t *testing.T, file string) string {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := f.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, f.Section(".text").Addr))
	if err != nil {
		t.Fatal(err)
	}
	fn := table.PCToFunc(f.Entry)
	if fn == nil {
		t.Fatalf("%s: no function at the entry %#x", file, f.Entry)
	}
	return fn.Name
}
