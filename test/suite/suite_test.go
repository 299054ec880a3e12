// Package suite runs the reference's own tests on our plugins. The tests call functions of the
// reference; here these functions execute the built plugin.
package suite

import (
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

func TestMain(m *testing.M) { stage.Main(m.Run) }

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

// TestBuild only builds, into the folder SUITE_BUILD, for a machine without Go.
func TestBuild(t *testing.T) {
	if dir := os.Getenv("SUITE_BUILD"); dir != "" {
		for pkg := range sources {
			if err := os.CopyFS(dir, os.DirFS(filepath.Dir(build(t, pkg)))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

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
	cmd := exec.Command(build(t, pkg), "-ginkgo.json-report="+report)
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

// build compiles the reference's tests with functions that execute plugins, unless SUITE_BUILT names
// the folder where TestBuild has put them.
func build(t *testing.T, pkg string) string {
	t.Helper()
	if dir := os.Getenv("SUITE_BUILT"); dir != "" {
		return filepath.Join(dir, filepath.Base(pkg)+".test")
	}
	var module struct{ Dir, Sum, Error string }
	out, err := exec.Command("go", "mod", "download", "-json", reference).Output()
	if jerr := json.Unmarshal(out, &module); err != nil || jerr != nil || module.Sum != checksum {
		t.Fatalf("%v %v: %s: checksum %q, want %q", err, jerr, module.Error, module.Sum, checksum)
	}
	dir := filepath.Join(t.TempDir(), "reference")
	if err := os.CopyFS(dir, os.DirFS(module.Dir)); err != nil {
		t.Fatal(err)
	}
	folder, source := filepath.Join(dir, "plugins", pkg), sources[pkg]
	text, err := os.ReadFile(filepath.Join(folder, source))
	if err != nil {
		t.Fatal(err)
	}
	ours := shim
	for _, verb := range verbs.FindAllSubmatch(text, -1) {
		ours += fmt.Sprintf("\nfunc cmd%s(args *skel.CmdArgs) error { return run(%q, args) }\n", verb[1], strings.ToUpper(string(verb[1])))
	}
	text = verbs.ReplaceAll(text, []byte("func reference$1(args *skel.CmdArgs) error"))
	for name, data := range map[string][]byte{source: text, "shim.go": []byte(ours)} {
		name = filepath.Join(folder, name)
		if err := errors.Join(os.RemoveAll(name), os.WriteFile(name, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(t.TempDir(), filepath.Base(pkg)+".test")
	cmd := exec.Command("go", "test", "-c", "-o", binary, "./plugins/"+pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}
