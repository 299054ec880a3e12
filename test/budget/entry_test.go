package budget

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// TestEntry: with an entry of our own (plugins/start) the runtime has one
// processor and opens no file from the start, and arguments and environment arrive.
func TestEntry(t *testing.T) {
	if _, err := os.Stat("../../plugins/start/entry_linux_" + runtime.GOARCH + ".s"); err != nil {
		t.Skip("no entry of our own for this processor")
	}
	bridge := stage.Plugins(t, "bridge") + "/bridge"
	const trace = "GODEBUG=schedtrace=1" // a line at once, unless the process is faster
	scheduler := regexp.MustCompile(`SCHED 0ms: gomaxprocs=(\d+)`)
	for name, env := range map[string][]string{
		"first": {trace, "CNI_COMMAND=VERSION", "A=b"},
		"last":  {"A=", "CNI_COMMAND=VERSION", trace},
	} {
		t.Run(name, func(t *testing.T) {
			seen := 0
			for range 50 {
				cmd := exec.Command(bridge)
				cmd.Env = env
				cmd.Stdin = strings.NewReader(`{"cniVersion": "1.0.0"}`)
				out, err := cmd.CombinedOutput()
				if err != nil || !strings.Contains(string(out), `"supportedVersions"`) {
					t.Fatalf("%v: %s", err, out)
				}
				if m := scheduler.FindSubmatch(out); m != nil {
					seen++
					if string(m[1]) != "1" {
						t.Fatalf("GOMAXPROCS is %s at first, want 1: %s", m[1], out)
					}
				}
			}
			if seen == 0 {
				t.Error("no line of the scheduler's in 50 runs")
			}
		})
	}
	for _, args := range [][]string{{bridge}, {filepath.Join(filepath.Dir(bridge), "bridgeport"), "--version"}} {
		log := filepath.Join(t.TempDir(), "log")
		cmd := exec.Command("strace", append([]string{"-f", "-e", "trace=openat,prctl", "-o", log}, args...)...)
		cmd.Env = []string{"CNI_COMMAND=VERSION"}
		out, err := cmd.CombinedOutput()
		calls, _ := os.ReadFile(log)
		if m := regexp.MustCompile(`.*openat.*= \d+`).FindAll(calls, -1); err != nil || len(m) > 0 {
			t.Errorf("%s opens files: %v, %s: %s", args, err, out, bytes.Join(m, []byte("\n")))
		}
		if n := bytes.Count(calls, []byte("PR_SET_TIMERSLACK")); n != 2 {
			t.Errorf("%s: %d changes of the timers' slack: %s", args, n, calls)
		}
	}
	cmd := exec.Command(bridge)
	cmd.Args, cmd.Env = []string{"other", "", "x"}, []string{}
	if out, _ := cmd.CombinedOutput(); !strings.HasPrefix(string(out), "other: not the name of a plugin") {
		t.Errorf("without environment: %s", out)
	}
}
