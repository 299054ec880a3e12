// Command mutation takes lines out of the code, one at a time, whose loss a test must
// notice: renames, links, locks, guards, rollbacks. list.txt names them, and the test.
// Lines of these kinds that the list does not name are errors. MUTATE is a regular
// expression that chooses files. The files themselves are not touched (go build -overlay).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kinds are what a crash, a race or an attack makes matter.
var kinds = regexp.MustCompile(`os\.(Rename|Link|Symlink|Remove)\(|unix\.(Unlink|Rename)|\.Undo\(req|\.undo\(s|flock\.(Take|Netns)\(` +
	`|O_EXCL|O_NOFOLLOW|O_NONBLOCK|NLM_F_EXCL|\.DeleteLink\(|pool\.Del\(|early\.Del\(|s\.drop\(|sameOwner\(|label\.Same\(|FlushWithGenID` +
	`|Pdeathsig|F_SETFD|\b[lL]ocked\(|tidy\(\)|[oO]fNetwork\(|!ours\(|withNote\(|[pm]\.Del\(s\)|LimitReader|tooDeep\(|hasPorts\(|s\.dead\(|bootMark\(\)`)

// outside are programs that runtimes do not run.
var outside = regexp.MustCompile(`_test\.go$|^plugins/(bridgeport|installer)/`)

// entry is one line of the code.
type entry struct {
	file, old, new string
	nth            int      // which of several such texts, from 1
	test           []string // environment and arguments of go test; none for an excuse
	excuse         string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run() error {
	list, err := read("test/mutation/list.txt")
	if err != nil {
		return err
	}
	unlisted, err := complete(list)
	if err != nil {
		return err
	}
	for _, line := range unlisted {
		fmt.Println("not in the list:", line)
	}
	if err := stale(list); err != nil {
		return err
	}
	chosen, err := regexp.Compile(os.Getenv("MUTATE"))
	if err != nil {
		return err
	}
	tried, survivors := 0, 0
	for _, e := range list {
		if e.test == nil || !chosen.MatchString(e.file) {
			continue
		}
		tried++
		noticed, err := e.try()
		word := "noticed "
		switch {
		case err != nil:
			word = fmt.Sprintf("%v:\nUNTRIED ", err)
			survivors++
		case !noticed:
			word = "SURVIVES"
			survivors++
		}
		fmt.Printf("%s %s: %s\n", word, e.file, e.old)
	}
	fmt.Printf("mutation: %d lines, %d survive, %d not in the list\n", tried, survivors, len(unlisted))
	if survivors+len(unlisted) > 0 {
		return errors.New("the tests do not notice everything")
	}
	return nil
}

// read takes the list apart: a file's name, then for each of its lines "- old", "+ new"
// and "! test", or "- old" and "= why nothing would notice".
func read(path string) ([]entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []entry
	file := ""
	in := bufio.NewScanner(f)
	for in.Scan() {
		line := in.Text()
		mark, rest, _ := strings.Cut(line, " ")
		last := len(list) - 1
		switch {
		case line == "" || mark == "#":
		case mark == "-":
			e := entry{file: file, old: rest, nth: 1}
			for _, other := range list {
				if other.file == e.file && other.old == e.old {
					e.nth++
				}
			}
			list = append(list, e)
		case mark == "+" && last >= 0:
			list[last].new = rest
		case mark == "!" && last >= 0:
			list[last].test = strings.Fields(rest)
		case mark == "=" && last >= 0:
			list[last].excuse = rest
		case strings.HasSuffix(line, ".go"):
			file = line
		default:
			return nil, fmt.Errorf("%s: not understood: %s", path, line)
		}
	}
	for _, e := range list {
		if (e.test == nil) == (e.excuse == "") {
			return nil, fmt.Errorf("%s: %s: %q needs a test or an excuse", path, e.file, e.old)
		}
	}
	return list, in.Err()
}

// complete finds the lines of our kinds that the list does not name.
func complete(list []entry) (unlisted []string, err error) {
	for _, root := range []string{"pkg", "plugins"} {
		err = errors.Join(err, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || outside.MatchString(path) {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			left := slices.DeleteFunc(slices.Clone(list), func(e entry) bool { return e.file != path })
			for n, line := range strings.Split(string(text), "\n") {
				code, _, _ := strings.Cut(strings.TrimSpace(line), "//")
				if strings.HasPrefix(code, "func ") || !kinds.MatchString(code) {
					continue
				}
				if !slices.ContainsFunc(left, func(e entry) bool { return strings.Contains(line, e.old) }) {
					unlisted = append(unlisted, fmt.Sprintf("%s:%d: %s", path, n+1, code))
				}
			}
			return nil
		}))
	}
	return unlisted, err
}

// stale finds what the list names and the code lacks.
func stale(list []entry) error {
	var errs []error
	for _, e := range list {
		if _, err := e.mutant(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %q: %w", e.file, e.old, err))
		}
	}
	return errors.Join(errs...)
}

// try builds and tests without the line.
func (e entry) try() (noticed bool, err error) {
	dir, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	overlay, err := e.overlay(dir)
	if err != nil {
		return false, err
	}
	programs := [][2]string{{"bridge", "./plugins"}}
	if strings.HasPrefix(e.file, "plugins/bridgeport/") {
		programs = append(programs, [2]string{"bridgeport", "./plugins/bridgeport"})
	}
	for _, p := range programs {
		build := exec.Command("go", "build", "-overlay", overlay, "-o", filepath.Join(dir, p[0]), p[1])
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return false, fmt.Errorf("it does not even compile: %s", out)
		}
	}
	for _, name := range []string{"portmap", "host-local"} {
		if err := os.Link(filepath.Join(dir, "bridge"), filepath.Join(dir, name)); err != nil {
			return false, err
		}
	}
	env := append(os.Environ(), "BRIDGEPORT_BIN="+dir)
	// The first failure is enough.
	args := []string{"test", "-count=1", "-vet=off", "-failfast", "-timeout=10m", "-overlay", overlay}
	for _, word := range e.test {
		if name, _, isSet := strings.Cut(word, "="); isSet && name == strings.ToUpper(name) {
			env = append(env, word)
		} else {
			args = append(args, word)
		}
	}
	if usesGinkgo(e.test) {
		args = append(args, "-ginkgo.fail-fast")
	}
	test := exec.Command("go", args...)
	test.Env = env
	out, err := test.CombinedOutput()
	if err == nil {
		return false, nil
	}
	if text := string(out); !strings.Contains(text, "FAIL") || strings.Contains(text, "[build failed]") || strings.Contains(text, "no tests to run") {
		return false, fmt.Errorf("the test did not run: %s", out)
	}
	return true, nil
}

// usesGinkgo says whether the test's package has specs of ginkgo.
func usesGinkgo(test []string) bool {
	i := slices.IndexFunc(test, func(word string) bool { return strings.HasPrefix(word, "./") })
	files, _ := filepath.Glob(filepath.Join(test[max(i, 0)], "*_test.go")) // the pattern is right
	return slices.ContainsFunc(files, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), "onsi/ginkgo")
	})
}

// mutant is the file without the line.
func (e entry) mutant() (string, error) {
	text, err := os.ReadFile(e.file)
	if err != nil {
		return "", err
	}
	parts := strings.Split(string(text), e.old)
	if len(parts) <= e.nth {
		return "", errors.New("the list is out of date: no such text")
	}
	return strings.Join(parts[:e.nth], e.old) + e.new + strings.Join(parts[e.nth:], e.old), nil
}

// overlay writes the mutant for the go command.
func (e entry) overlay(dir string) (string, error) {
	changed, err := e.mutant()
	if err != nil {
		return "", err
	}
	path, err := filepath.Abs(e.file)
	if err != nil {
		return "", err
	}
	copied, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: copied}})
	if err != nil {
		return "", err
	}
	return overlay, errors.Join(os.WriteFile(copied, []byte(changed), 0o600), os.WriteFile(overlay, replace, 0o600))
}
