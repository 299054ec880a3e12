package cni

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
)

// recorder is a plugin that notes which of its verbs are called.
func recorder(calls *[]string) Plugin {
	note := func(verb string) func(*Request) error {
		return func(*Request) error {
			*calls = append(*calls, verb)
			return nil
		}
	}
	return Plugin{
		Name: "recorder", About: "for tests",
		Add: func(*Request) (*current.Result, error) {
			*calls = append(*calls, "ADD")
			return dual(), nil
		},
		Check: note("CHECK"), Del: note("DEL"), GC: note("GC"), Status: note("STATUS"), Undo: note("UNDO"),
	}
}

func TestRun(t *testing.T) {
	tests := []struct{ command, version, calls, out string }{
		{"ADD", "0.4.0", "ADD", `"cniVersion": "0.4.0"`},
		{"CHECK", "1.1.0", "CHECK", ""},
		{"DEL", "1.1.0", "DEL", ""},
		{"GC", "1.1.0", "GC", ""},
		{"STATUS", "1.1.0", "STATUS", ""},
		{"VERSION", "0.4.0", "", `"supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]`},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			var calls []string
			var out strings.Builder
			if err := Run(recorder(&calls), &Request{Command: tt.command, CNIVersion: tt.version}, &out); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(calls, " "); got != tt.calls {
				t.Errorf("called %q, want %q", got, tt.calls)
			}
			if !strings.Contains(out.String(), tt.out) || tt.out == "" && out.Len() > 0 {
				t.Errorf("printed %q, want %q in it", out.String(), tt.out)
			}
		})
	}
}

// TestRunPanic: the runtime gets JSON whatever happens.
func TestRunPanic(t *testing.T) {
	p := recorder(new([]string))
	p.Del = func(*Request) error { panic("nil map") }
	err := Run(p, &Request{Command: "DEL"}, &strings.Builder{})
	wantError(t, err, CodeUnexpected, "recorder DEL: bug: nil map")
}

// closed is the stdout of a runtime that has gone.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, os.ErrClosed }

// TestAddUndo: what the runtime can't be told of must not stay.
func TestAddUndo(t *testing.T) {
	layer2 := func(*Request) (*current.Result, error) {
		return &current.Result{CNIVersion: "1.1.0", Interfaces: []*current.Interface{{Name: "eth0"}}}, nil
	}
	refused := func(*Request) (*current.Result, error) { return nil, Errorf(CodeConflict, "taken") }
	broken := func(*Request) error { return errors.New("stuck") }
	tests := []struct {
		name, version string
		change        func(*Plugin)
		undone        bool
		code          uint
		want          string
	}{
		{"told", "1.1.0", func(*Plugin) {}, false, 0, ""},
		// Before 0.3.0 a result without an address can't be said.
		{
			"0.2.0 without address", "0.2.0", func(p *Plugin) { p.Add = layer2 }, true, CodeVersion,
			"result: convert to cniVersion 0.2.0: cannot convert: no valid IP addresses",
		},
		{
			"undo fails too", "0.2.0", func(p *Plugin) { p.Add, p.Undo = layer2, broken }, false, CodeVersion,
			"result: convert to cniVersion 0.2.0: cannot convert: no valid IP addresses; and undo: stuck",
		},
		{"a failed Add cleans up itself", "1.1.0", func(p *Plugin) { p.Add = refused }, false, CodeConflict, "taken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var calls []string
			var out strings.Builder
			p := recorder(&calls)
			tt.change(&p)
			err := Run(p, &Request{Command: "ADD", CNIVersion: tt.version}, &out)
			wantError(t, err, tt.code, tt.want)
			if undone := strings.Contains(strings.Join(calls, " "), "UNDO"); undone != tt.undone {
				t.Errorf("called %v, undo wanted: %t", calls, tt.undone)
			}
			if err != nil && out.Len() > 0 {
				t.Errorf("printed %q before an error", out.String())
			}
		})
	}
	t.Run("stdout closed", func(t *testing.T) {
		var calls []string
		err := Run(recorder(&calls), &Request{Command: "ADD", CNIVersion: "1.1.0"}, closed{})
		if !errors.Is(err, os.ErrClosed) || strings.Join(calls, " ") != "ADD UNDO" {
			t.Errorf("got %v after %v, want a closed file after ADD UNDO", err, calls)
		}
	})
}

// TestMainAnswers goes the whole way from stdin and environment to stdout.
func TestMainAnswers(t *testing.T) {
	tests := []struct {
		name, command, stdin string
		args                 []string
		status               int
		want                 string
	}{
		{"ADD", "ADD", `{"cniVersion": "1.0.0", "name": "net"}`, nil, 0, `"cniVersion":"1.0.0"`},
		{"DEL says nothing", "DEL", `{"cniVersion": "1.0.0", "name": "net"}`, nil, 0, ""},
		{"error in the version asked for", "ADD", `{"cniVersion": "0.4.0"}`, nil, 1, `{"cniVersion":"0.4.0","code":7,"msg":"name: missing, every network needs one"}`},
		{"no answer but the version", "", "", []string{"--version"}, 0, "bridgeport recorder plugin unknown (commit unknown)"},
		{"a person without arguments", "", "", nil, 0, ""},
		{"a person with wrong arguments", "", "", []string{"--help"}, 2, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, kv := range environ("CNI_COMMAND=" + tt.command) {
				k, v, _ := strings.Cut(kv, "=")
				t.Setenv(k, v)
			}
			status, out := callMain(t, tt.stdin, tt.args)
			var line bytes.Buffer
			if json.Compact(&line, []byte(out)) != nil {
				line.WriteString(strings.TrimSpace(out))
			}
			if status != tt.status || !strings.Contains(line.String(), tt.want) || tt.want == "" && line.Len() > 0 {
				t.Errorf("got  %d %s\nwant %d %s", status, line.String(), tt.status, tt.want)
			}
		})
	}
}

// callMain lends Main files for the process's standard streams.
func callMain(t *testing.T, stdin string, args []string) (status int, stdout string) {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, []byte(stdin), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	defer func(i, o, e *os.File) { os.Stdin, os.Stdout, os.Stderr = i, o, e }(os.Stdin, os.Stdout, os.Stderr)
	os.Stdin, os.Stdout, os.Stderr = r, w, null
	status = Main(recorder(new([]string)), append([]string{"recorder"}, args...))
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(text)
}
