package command

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

// ran is the command with its arguments, in this process.
func ran(t *testing.T, args ...string) (out string, status int) {
	t.Helper()
	var b bytes.Buffer
	root := Root()
	root.SetArgs(args)
	root.SetOut(&b)
	root.SetErr(&b)
	root.SetIn(strings.NewReader(""))
	err := root.Execute()
	if err != nil {
		b.WriteString(err.Error())
	}
	return b.String(), Status(err)
}

func TestUnknownWords(t *testing.T) {
	for args, want := range map[string]string{
		"docter":                      "doctor",
		"lab upp":                     "up",
		"lab nonsense":                "unknown command",
		"lab nonsense red":            "unknown command",
		"completion tcsh":             "unknown command",
		"completion bas":              "bash",
		"help nonsense":               "unknown command",
		"help lab upp":                "up",
		"help doctor x":               "",
		"ls extra":                    "unknown command",
		"ls --nonsense":               "unknown flag",
		"ls -o xml":                   "none of table, json, yaml",
		"ls -o jsn":                   `did you mean "json"?`,
		"ls --stat ok":                `did you mean "state"?`,
		"ls --state okk":              `did you mean "ok"?`,
		"graph -f swg":                `did you mean "svg"?`,
		"init --print --runtime cryo": `did you mean "crio"?`,
		"init --print --runtime rkt":  "none of containerd",
		"init --print -o json":        "-o json",
		"plan /nonexistent":           "plan: /nonexistent",
		"gc --grace soon":             "invalid",
		"init --print --subnet ten":   "CIDR",
		"init --print --name ../x":    "name",
		"init --print --mtu sometime": "mtu",
		"top --rows -1":               "at least one row",
		"top --rows 0":                "at least one row",
		"top -n -1":                   "at least one row",
		"top --interval -1s":          "at least one row",
	} {
		out, status := ran(t, strings.Fields(args)...)
		if want != "" && (status != 1 || !strings.Contains(out, want)) {
			t.Errorf("%s: status %d, want 1 and %q: %s", args, status, want, out)
		}
		if strings.Contains(out, "lint:") {
			t.Errorf("%s: speaks of lint: %s", args, out)
		}
	}
	for _, args := range []string{"", "lab", "help", "help lab up", "help doctor", "--help", "lab up --help", "completion", "doctor --list", "init --print"} {
		if out, status := ran(t, strings.Fields(args)...); status != 0 || out == "" && args != "doctor --list" {
			t.Errorf("%s: status %d: %s", args, status, out)
		}
	}
}

// Help is ASCII: each terminal can show it, and so can a page.
func TestHelpIsPlain(t *testing.T) {
	var each func(c *cobra.Command)
	each = func(c *cobra.Command) {
		text := c.Use + c.Short + c.Long + c.Example + c.Flags().FlagUsages()
		if at := strings.IndexFunc(text, func(r rune) bool { return r > '~' }); at >= 0 {
			t.Errorf("%s: %q", c.CommandPath(), text[at:])
		}
		for _, sub := range c.Commands() {
			each(sub)
		}
	}
	each(Root())
}

func TestLintGoesOn(t *testing.T) {
	dir := t.TempDir()
	bad := dir + "/bad.conflist"
	if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, status := ran(t, "lint", dir+"/none.conflist", dir, bad)
	if status != 2 || !strings.Contains(out, "no such file") || !strings.Contains(out, "is a directory") || !strings.Contains(out, "not valid JSON") || !strings.Contains(out, "3 files: 3 errors") {
		t.Errorf("status %d: %s", status, out)
	}
}

// A character device is no terminal by that.
func TestTerminal(t *testing.T) {
	for _, path := range []string{"/dev/null", "/dev/zero", "/dev/stdin", t.TempDir()} {
		f, err := os.Open(path)
		if path == "/dev/stdin" {
			null, nerr := os.Open(os.DevNull)
			if nerr != nil {
				t.Fatal(nerr)
			}
			f, err = os.NewFile(null.Fd(), path), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if show.Terminal(f) {
			t.Errorf("%s: is no terminal", path)
		}
	}
}

// nerdctl sees no ports but those that iptables publishes.
func TestInitBackend(t *testing.T) {
	for runtime, want := range map[string]bool{"nerdctl": true, "containerd": false, "kind": false} {
		out, status := ran(t, "init", "--print", "--runtime", runtime)
		if status != 0 || strings.Contains(out, `"backend": "iptables"`) != want {
			t.Errorf("%s: status %d, want the backend iptables: %v\n%s", runtime, status, want, out)
		}
	}
}
