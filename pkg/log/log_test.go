package log

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestRead(t *testing.T) {
	tests := []struct{ config, env, want, err string }{
		{`{}`, "", " ", ""},
		{`{"log": {}}`, "", "info /var/log/bridgeport.log", ""},
		{`{"log": {"level": "debug", "file": "/x"}}`, "error:/y", "debug /x", ""},
		{`{"log": null}`, "", " ", ""},
		{`{"a": {"log": 5}}`, "", " ", ""},
		{`{}`, "/y", "info /y", ""},
		{`{}`, "debug", "debug /var/log/bridgeport.log", ""},
		{`{}`, "error:/y", "error /y", ""},
		{`{"log": "info"}`, "", " ", `log: wants an object such as {"level": "info", "file": "/var/log/bridgeport.log"}`},
		{`{"log": {"level": "trace"}}`, "", " ", `log.level: "trace" is none of error, info, debug`},
		{`{"log": {"file": "x"}}`, "", " ", `log.file: "x" is not an absolute path`},
		{`{}`, "trace", " ", `BRIDGEPORT_LOG level: "trace" is none of error, info, debug`},
	}
	for _, tt := range tests {
		t.Setenv(Variable, tt.env)
		s, err := Read([]byte(tt.config))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got := s.Level + " " + s.File; got != tt.want || text != tt.err {
			t.Errorf("%s, %q: got %q, %q, want %q, %q", tt.config, tt.env, got, text, tt.want, tt.err)
		}
	}
}

// lines are the file's, decoded.
func lines(t *testing.T, path string) (list []map[string]any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, m)
	}
	return list
}

func TestLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	t.Setenv("TRACEPARENT", trace)
	line := Begin(Settings{"debug", path}, Entry{Plugin: "bridge", Verb: "ADD", Network: "lan", Container: "c1", IfName: "eth0", Config: []byte(`{"mtu":5}`)})
	line.Step("lease")
	line.Step("kernel")
	if err := line.End(7, errors.New("mtu: 5 is outside")); err != nil {
		t.Fatal(err)
	}
	m := lines(t, path)[0]
	steps, _ := m["steps"].(map[string]any)
	if m["level"] != "ERROR" || m["msg"] != "bridge ADD" || m["code"] != 7.0 || m["error"] != "mtu: 5 is outside" || m["traceparent"] != trace || len(steps) != 2 || m["config"] == nil {
		t.Errorf("got %v", m)
	}
	t.Setenv("TRACEPARENT", "anything\n")
	if err := Begin(Settings{"info", path}, Entry{Plugin: "bridge", Verb: "DEL"}).End(0, nil); err != nil {
		t.Fatal(err)
	}
	if err := Begin(Settings{"error", path}, Entry{Plugin: "bridge", Verb: "CHECK"}).End(0, nil); err != nil {
		t.Fatal(err)
	}
	all := lines(t, path)
	if len(all) != 2 || all[1]["level"] != "INFO" || all[1]["traceparent"] != nil || all[1]["config"] != nil {
		t.Errorf("got %v", all)
	}
}

func TestOff(t *testing.T) {
	line := Begin(Settings{}, Entry{})
	line.Step("x")
	if err := line.End(0, nil); err != nil || line != nil {
		t.Errorf("got %v, %v", err, line)
	}
	config := []byte(`{"type": "bridge"}`)
	if n := testing.AllocsPerRun(100, func() {
		s, _ := Read(config)
		line := Begin(s, Entry{})
		line.Step("x")
		_ = line.End(0, nil)
	}); n > 0 {
		t.Errorf("off costs %v allocations", n)
	}
}

// TestBounded: many writers at once lose no line but those of the oldest file, and the
// files stay small.
func TestBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	long := []byte(`{"x":"` + strings.Repeat("x", 64<<10) + "\"}\n")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 40 {
				if err := write(path, long); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, p := range []string{path, path + ".1"} {
		lines(t, p) // none is mixed with another
	}
	// Who finds the lock taken writes on, so only a single writer is bounded exactly.
	for range 3 * MaxSize / len(long) {
		if err := write(path, long); err != nil {
			t.Error(err)
		}
	}
	for _, p := range []string{path, path + ".1"} {
		info, err := os.Stat(p)
		if err != nil || info.Size() > MaxSize+int64(len(long)) {
			t.Errorf("%s: %v, %v", p, info, err)
		}
		lines(t, p)
	}
}

// TestMovedMeanwhile: a full file that another process moves between two calls of rotate is
// no error.
func TestMovedMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for range 300 {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, MaxSize); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := write(path, []byte("{}\n")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

func TestUnwritable(t *testing.T) {
	line := Begin(Settings{"info", filepath.Join(t.TempDir(), "absent", "log")}, Entry{})
	if err := line.End(0, nil); err == nil {
		t.Error("a log that can't be written says nothing")
	}
}
