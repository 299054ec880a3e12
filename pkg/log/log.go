// Package log writes one line of JSON for each verb of a plugin, in the form of
// log/slog's JSONHandler, where the configuration or the environment asks for it. It
// does not import log/slog, and costs two comparisons where nobody asks.
//
//	line := log.Begin(settings, log.Entry{Plugin: "bridge", Verb: "ADD"})
//	line.Step("lease")
//	err := line.End(0, nil)
package log

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Variable turns the log on without a configuration: a level, a file, or "level:file".
const Variable = "BRIDGEPORT_LOG"

// DefaultFile is where lines go when only a level is given.
const DefaultFile = "/var/log/bridgeport.log"

// MaxSize is how long a file gets, in bytes, and a little more while another process moves it. A
// full file replaces file.1, so that the log takes at most twice as much.
const MaxSize = 4 << 20

// At level error only failed verbs are written, at info all, at debug also the configuration.
const (
	levelError = "error"
	levelInfo  = "info"
	levelDebug = "debug"
)

// Settings are the level and the file. With the zero Settings nothing is written.
type Settings struct {
	Level string `json:"level"`
	File  string `json:"file"`
}

// Read takes settings from the key "log" of a plugin's configuration, else from the
// environment. The error names the key and what is wrong; the log is off then.
func Read(config []byte) (Settings, error) {
	if !bytes.Contains(config, []byte(`"log"`)) {
		return parse(os.Getenv(Variable))
	}
	var w struct {
		Log *Settings `json:"log"`
	}
	if err := json.Unmarshal(config, &w); err != nil {
		return Settings{}, errors.New("log: wants an object such as {\"level\": \"info\", \"file\": \"/var/log/bridgeport.log\"}")
	}
	if w.Log == nil {
		return Settings{}, nil // somebody else's key of that name, deeper down
	}
	return check("log.", *w.Log)
}

// parse reads the variable. Empty, it turns no log on.
func parse(text string) (Settings, error) {
	if text == "" {
		return Settings{}, nil
	}
	level, file, ok := strings.Cut(text, ":")
	if !ok && strings.HasPrefix(text, "/") {
		level, file = "", text
	}
	return check(Variable+" ", Settings{level, file})
}

func check(key string, s Settings) (Settings, error) {
	s = Settings{cmp.Or(s.Level, levelInfo), cmp.Or(s.File, DefaultFile)}
	if !slices.Contains([]string{levelError, levelInfo, levelDebug}, s.Level) {
		return Settings{}, fmt.Errorf("%slevel: %q is none of error, info, debug", key, s.Level)
	}
	if !filepath.IsAbs(s.File) {
		return Settings{}, fmt.Errorf("%sfile: %q is not an absolute path", key, s.File)
	}
	return s, nil
}

// Entry is the verb that a line is about.
type Entry struct {
	Plugin    string `json:"plugin"`
	Verb      string `json:"verb"`
	Network   string `json:"network,omitempty"`
	Container string `json:"container,omitempty"`
	IfName    string `json:"ifName,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Version   string `json:"-"` // written at the end of the line
	Config    []byte `json:"-"` // the same, at level debug
}

// Line is the line of a verb that is under way. A nil Line writes nothing.
type Line struct {
	settings    Settings
	entry       Entry
	start, last time.Time
	steps       []byte // a JSON object without its end
}

// Begin starts the clock. The line is nil where the settings ask for none.
func Begin(s Settings, e Entry) *Line {
	if s.File == "" {
		return nil
	}
	now := time.Now()
	return &Line{settings: s, entry: e, start: now, last: now}
}

// Step notes how long the part of the verb took that ends now.
func (l *Line) Step(name string) {
	if l == nil {
		return
	}
	now := time.Now()
	if l.steps != nil {
		l.steps = append(l.steps, ',')
	}
	l.steps = fmt.Appendf(l.steps, "%q:%.3f", name, milliseconds(now.Sub(l.last)))
	l.last = now
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// End writes the line. code is 0 for success. The error, of writing it, is for stderr only.
func (l *Line) End(code uint, failure error) error {
	if l == nil || failure == nil && l.settings.Level == levelError {
		return nil
	}
	text, err := l.text(code, failure)
	if err == nil {
		err = write(l.settings.File, text)
	}
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return nil
}

// attributes are the line, in the order in which people read it.
type attributes struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"`
	Msg   string    `json:"msg"`
	Entry
	MS      float64         `json:"ms"`
	Steps   json.RawMessage `json:"steps,omitempty"`
	Code    uint            `json:"code"`
	Error   string          `json:"error,omitempty"`
	Trace   string          `json:"traceparent,omitempty"`
	Version string          `json:"version,omitempty"`
	Config  json.RawMessage `json:"config,omitempty"`
}

// isTraceParent says whether text has the form of https://www.w3.org/TR/trace-context/, 00.
func isTraceParent(text string) bool {
	parts := strings.Split(text, "-")
	if len(parts) != 4 || len(parts[1]) != 32 || len(parts[2]) != 16 || len(parts[3]) != 2 || parts[0] != "00" {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef-", r) })
}

func (l *Line) text(code uint, failure error) ([]byte, error) {
	now, e := time.Now(), l.entry
	a := attributes{
		Time: now, Level: "INFO", Msg: e.Plugin + " " + e.Verb, Entry: e,
		MS: milliseconds(now.Sub(l.start)), Code: code, Version: e.Version,
	}
	if failure != nil {
		a.Level, a.Error = "ERROR", failure.Error()
	}
	if l.steps != nil {
		a.Steps = append(append([]byte{'{'}, l.steps...), '}')
	}
	if trace := os.Getenv("TRACEPARENT"); isTraceParent(trace) {
		a.Trace = trace
	}
	if l.settings.Level == levelDebug && json.Valid(e.Config) {
		a.Config = e.Config
	}
	text, err := json.Marshal(a)
	return append(text, '\n'), err
}

// write appends the line by one system call: lines of several processes do not mix (O_APPEND).
func write(path string, line []byte) error {
	if err := rotate(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Close())
}

// rotate moves a full file away, under a lock. Others write one more line to the old one.
func rotate(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() < MaxSize || !info.Mode().IsRegular() {
		return nil // absent, or a pipe: nothing to move
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // another one was faster
	}
	if err != nil {
		return err
	}
	defer f.Close() // releases the lock
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	if again, err := os.Stat(path); err != nil || !os.SameFile(info, again) {
		return nil // another one was faster
	}
	return os.Rename(path, path+".1")
}
