package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// T is what helpers need of a test: *testing.T and GinkgoT() have it. Programs that are
// no tests use this library, too, so it does not import package testing.
type T interface {
	Helper()
	Fatal(args ...any)
	Error(args ...any)
	Skip(args ...any)
	Cleanup(fn func())
	TempDir() string
}

// must fails the test where there is an error.
func must(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Main is the whole of a TestMain: it runs the tests, which are m.Run, isolated.
func Main(run func() int) {
	code, isChild := Isolate()
	if isChild {
		code = run()
	}
	os.Exit(code)
}

// MainIfRoot is Main for a package that has tests for everybody, too: as somebody else
// than root these run where they are, and the others skip.
func MainIfRoot(run func() int) {
	if os.Geteuid() == 0 {
		Main(run)
	}
	os.Exit(run())
}

// Plugins is the directory of the plugins under test: where BRIDGEPORT_BIN says, else the
// repository's bin. Without one of the names the test fails; it must not pass by testing
// nothing.
func Plugins(t T, names ...string) string {
	t.Helper()
	return directory(t, "BRIDGEPORT_BIN", "bin", "make build", names)
}

// Reference is the same for programs of the reference implementation, by REFERENCE_BIN.
func Reference(t T, names ...string) string {
	t.Helper()
	return directory(t, "REFERENCE_BIN", "bin/reference", "make reference", names)
}

func directory(t T, variable, below, target string, names []string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		dir = filepath.Join(Root(t), below)
	}
	dir, err := filepath.Abs(dir)
	must(t, err)
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Fatal(fmt.Sprintf("%s is missing in %s: run `%s`, or set %s", name, dir, target, variable))
		}
	}
	return dir
}

// Root is the repository's folder.
func Root(t T) string {
	t.Helper()
	dir, err := os.Getwd() // go test runs in the package's folder
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	t.Fatal("no go.mod above ", dir, err)
	return ""
}

// Read is a file's content.
func Read(t T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// Number is an environment variable, or the default.
func Number(t T, variable string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(variable, ": ", err)
	}
	return n
}

// Missing ends the test: the kernel lacks a feature. In the guest of test/vm, whose
// kernel has all of them, that is a failure.
func Missing(t T, feature string) {
	t.Helper()
	if os.Getenv("BRIDGEPORT_VM") == "1" {
		t.Fatal("the kernel lacks " + feature)
	}
	t.Skip("the kernel lacks " + feature)
}

// Slow is how many times longer than on a usual machine everything takes, on an emulated
// one: BRIDGEPORT_SLOW.
func Slow() time.Duration {
	n, err := strconv.Atoi(os.Getenv("BRIDGEPORT_SLOW"))
	if err != nil || n < 1 {
		return 1
	}
	return time.Duration(n)
}
