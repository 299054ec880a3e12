// Package suite runs the reference's own tests on our plugins. The tests call functions of the
// reference; here these functions execute the built plugin.
package suite

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/onsi/ginkgo/v2/types"
)

// built names the folder with the reference's tests, compiled, for a machine without Go.
const built = "SUITE_BUILT"

// TestMain compiles the tests where modules can be fetched, which is outside of the namespaces. The folder
// is SUITE_BUILD, or one below bin.
func TestMain(m *testing.M) {
	if os.Getenv(built) == "" {
		dir, err := filepath.Abs(cmp.Or(os.Getenv("SUITE_BUILD"), "../../bin/reference/suite"))
		for pkg := range sources {
			err = cmp.Or(err, build(pkg, dir))
		}
		if err = cmp.Or(err, os.Setenv(built, dir)); err != nil {
			fmt.Fprintln(os.Stderr, "suite:", err)
			os.Exit(1)
		}
	}
	stage.Main(m.Run)
}

//go:embed shim.go.txt
var shim string

// The reference, and the checksum of its module.
const (
	reference = "github.com/containernetworking/plugins@v1.10.0"
	checksum  = "h1:4lwzpgsn5NdIneXrag/EEfKzhNSriJc1zTxZxfdfPLQ="
)

// verbs are the functions that the reference's tests call.
var verbs = regexp.MustCompile(`(?m)^func cmd(Add|Del|Check|Status|GC)\(args \*skel\.CmdArgs\) error`)

// sources are the packages whose tests are run, each with the file that has its verbs. A package's
// folder has the plugin's name.
var sources = map[string]string{"main/bridge": "bridge.go", "ipam/host-local": "main.go"}

func TestBridge(t *testing.T)    { compare(t, "main/bridge", bridgeDiffers) }
func TestHostLocal(t *testing.T) { compare(t, "ipam/host-local", hostLocalDiffers) }

// compare runs a package's tests. Those that fail must be the ones that differ on purpose.
func compare(t *testing.T, pkg string, differs []difference) {
	passed, lacking := 0, make(map[string]int)
	found := make([]bool, len(differs))
	specs := run(t, pkg)
	for _, spec := range specs {
		if spec.State == types.SpecStatePassed {
			passed++
		}
		if !spec.Failed() {
			continue
		}
		text := strings.Join(strings.Fields(spec.FullText()+": "+spec.Failure.Message), " ")
		at := slices.IndexFunc(differs, func(d difference) bool { return regexp.MustCompile(d.test).MatchString(text) })
		feature := slices.IndexFunc(missing, func(m string) bool { return strings.Contains(text, m) })
		switch {
		case feature >= 0:
			lacking[missing[feature]]++
		case at >= 0:
			found[at] = true
		default:
			t.Error(text)
		}
	}
	for i, d := range differs {
		if !found[i] && !d.sometimes {
			t.Errorf("no test that matches %q fails: it does not differ any more", d.test)
		}
	}
	for feature, n := range lacking {
		fmt.Printf("suite: %s: %d tests not possible: %s\n", pkg, n, feature)
	}
	fmt.Printf("suite: %s: %d of %d tests of the reference pass, %d differences\n", pkg, passed, len(specs), len(differs))
}

// run is what became of each test.
func run(t *testing.T, pkg string) types.SpecReports {
	t.Helper()
	bin, report := stage.Plugins(t, "bridge", "portmap", "host-local"), filepath.Join(t.TempDir(), "report.json")
	cmd := exec.Command(testOf(os.Getenv(built), pkg), "-ginkgo.json-report="+report)
	cmd.Env = append(os.Environ(), "SUITE_PLUGIN="+filepath.Join(bin, filepath.Base(pkg)), "SUITE_KEYS="+keys, "PATH="+bin+":"+os.Getenv("PATH"))
	out, _ := cmd.CombinedOutput() // the report says what failed
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var suites []types.Report
	if err := json.Unmarshal(data, &suites); err != nil || len(suites) != 1 {
		t.Fatalf("%d reports: %v", len(suites), err)
	}
	return suites[0].SpecReports
}

func testOf(dir, pkg string) string { return filepath.Join(dir, filepath.Base(pkg)+".test") }

// build compiles the reference's tests with functions that execute plugins.
func build(pkg, into string) error {
	var module struct{ Dir, Sum, Error string }
	out, err := exec.Command("go", "mod", "download", "-json", reference).Output()
	if jerr := json.Unmarshal(out, &module); err != nil || jerr != nil || module.Sum != checksum {
		return fmt.Errorf("%s: download: %w: %s: checksum %q, want %q", reference, cmp.Or(err, jerr, errors.ErrUnsupported), module.Error, module.Sum, checksum)
	}
	dir, err := os.MkdirTemp("", "suite")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // a copy
	dir = filepath.Join(dir, "reference")
	if err := os.CopyFS(dir, os.DirFS(module.Dir)); err != nil {
		return err
	}
	if err := shimmed(filepath.Join(dir, "plugins", pkg), sources[pkg]); err != nil {
		return err
	}
	cmd := exec.Command("go", "test", "-c", "-o", testOf(into, pkg), "./plugins/"+pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: compile: %w: %s", pkg, err, out)
	}
	return nil
}

// shimmed puts functions that execute plugins in the place of the reference's.
func shimmed(folder, source string) error {
	text, err := os.ReadFile(filepath.Join(folder, source))
	if err != nil {
		return err
	}
	ours := shim
	for _, verb := range verbs.FindAllSubmatch(text, -1) {
		ours += fmt.Sprintf("\nfunc cmd%s(args *skel.CmdArgs) error { return run(%q, args) }\n", verb[1], strings.ToUpper(string(verb[1])))
	}
	text = verbs.ReplaceAll(text, []byte("func reference$1(args *skel.CmdArgs) error"))
	for name, data := range map[string][]byte{source: text, "shim.go": []byte(ours)} {
		name = filepath.Join(folder, name)
		if err := errors.Join(os.RemoveAll(name), os.WriteFile(name, data, 0o600)); err != nil {
			return err
		}
	}
	return nil
}
