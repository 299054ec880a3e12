// Package borders keeps the borders between the packages: who may import whom.
package borders

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

const module = "github.com/bridgeport-cni/bridgeport/"

// only says which packages alone may import a library, tests aside.
var only = map[string][]string{
	// The operator's command reads what no plugin asks for.
	"github.com/vishvananda/netlink": {"pkg/netlink", "pkg/link", "pkg/firewall", "plugins/installer", "plugins/bridgeport/node", "plugins/bridgeport/playground"},
	"github.com/google/nftables":     {"pkg/nft", "pkg/nft/strangers", "plugins/bridgeport/node"},
	"github.com/spf13/cobra":         {"plugins/bridgeport/command", "plugins/bridgeport/gen"},
	"github.com/charmbracelet":       {"plugins/bridgeport/show"},
	"github.com/cpuguy83/go-md2man":  {"plugins/bridgeport/gen"},
	// Starting a program costs milliseconds; of the plugins' only delegation and iptables may.
	"os/exec":  {"pkg/iptables", "pkg/ipam", "pkg/install", "plugins/bridgeport/node", "plugins/bridgeport/command", "plugins/bridgeport/playground"},
	"net/http": {"plugins/installer", "plugins/bridgeport/playground"},
	// The same: a process for each question.
	"github.com/coreos/go-iptables": {"plugins/bridgeport/node"},
	// The reference is what tests compare with: it is pinned in .tools/go.mod, and we import nothing of it.
	"github.com/containernetworking/plugins": {},
}

// layers are the rooms from below to above: a package may import those of the lines before
// its own, and none of its own line.
var layers = layersOf(
	"pkg/log pkg/file pkg/dump pkg/label pkg/shell pkg/hostport pkg/kernel", // for everybody: the edge to the runtime, tests, the command
	"pkg/netlink pkg/flock pkg/netns pkg/cni", "pkg/install",
	"pkg/nft pkg/iptables pkg/conntrack pkg/lease", "pkg/ipam",
	// An attachment: what is wanted, and its parts from the link to what strangers have.
	"pkg/nft/strangers", "pkg/ruleset", "pkg/plan", "pkg/link", "pkg/firewall", "pkg/foreign", "pkg/owned",
	"pkg/publish", "plugins/hostlocal plugins/portmap plugins/loopback plugins/bridge plugins/start", "plugins plugins/installer",
	// The operator's command: reading, joining, the sub-commands' work, the command.
	"plugins/bridgeport/show plugins/bridgeport/node", "plugins/bridgeport/attachment",
	"plugins/bridgeport/doctor plugins/bridgeport/mend plugins/bridgeport/lint plugins/bridgeport/trace plugins/bridgeport/graph plugins/bridgeport/playground",
	"plugins/bridgeport/setup plugins/bridgeport/report", "plugins/bridgeport/command",
	"plugins/bridgeport plugins/bridgeport/gen", // gen makes man pages and completions, and is in no shipped program
)

func layersOf(lines ...string) map[string]int {
	layers := make(map[string]int)
	for i, line := range lines {
		for _, room := range strings.Fields(line) {
			layers[room] = i + 1
		}
	}
	return layers
}

func imports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", module+"pkg/...", module+"plugins/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := make(map[string][]string)
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		fields := strings.Fields(line)
		all[strings.TrimPrefix(fields[0], module)] = fields[1:]
	}
	if len(all) < 8 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

func TestLibraries(t *testing.T) {
	for pkg, list := range imports(t) {
		for _, imp := range list {
			for lib, allowed := range only {
				if imp != lib && !strings.HasPrefix(imp, lib+"/") {
					continue
				}
				ok := false
				for _, a := range allowed {
					ok = ok || a == pkg
				}
				if !ok {
					t.Errorf("%s imports %s, which only %v may", pkg, imp, allowed)
				}
			}
		}
	}
}

func TestLayers(t *testing.T) {
	for pkg, list := range imports(t) {
		from, known := layers[pkg]
		if !known {
			t.Errorf("%s: has no layer: add it to the table", pkg)
		}
		for _, imp := range list {
			name, own := strings.CutPrefix(imp, module)
			if to, ok := layers[name]; own && (!ok || to >= from) {
				t.Errorf("%s (layer %d) imports %s (layer %d)", pkg, from, name, to)
			}
		}
	}
}

// slow are what a plugin must not depend on, however it would get in: packages that do much before
// main, and those that bring half of Go along. All others are counted by test/supply.
var slow = []string{
	"net/http", "crypto/tls", "log/slog", "encoding/gob", "encoding/xml", "text/template", "html/template", "regexp", "testing",
	module + "plugins/bridgeport", "github.com/charmbracelet", "github.com/spf13", "go.opentelemetry.io", "k8s.io", "sigs.k8s.io",
	"google.golang.org", "go.yaml.in",
}

// TestStart keeps what is slow to start out of the plugins.
func TestStart(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"plugins").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		if slices.ContainsFunc(slow, func(s string) bool { return pkg == s || strings.HasPrefix(pkg, s+"/") }) {
			t.Errorf("the plugins depend on %s", pkg)
		}
	}
}

// TestSetNames keeps the names of sets in one table: beside it only the rules name the sets
// that they look into.
func TestSetNames(t *testing.T) {
	for _, dir := range []string{"../../pkg", "../../plugins"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				path == "../../pkg/nft/set.go" || strings.HasPrefix(path, "../../pkg/ruleset/") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if text, is := n.(*ast.BasicLit); is && text.Kind == token.STRING && isSet(text.Value) {
					t.Errorf("%s: names the set %s, which only the table in pkg/nft may", path, text.Value)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func isSet(literal string) bool {
	name, err := strconv.Unquote(literal)
	return err == nil && slices.ContainsFunc(nft.Sets(), func(s nft.Set) bool { return s.Name == name })
}

// TestThreads keeps thread and namespace handling in one place.
func TestThreads(t *testing.T) {
	out, _ := exec.Command("grep", "-rlE", `LockOSThread|unix\.Setns|unix\.Unshare`, "--include=*.go", "../../pkg", "../../plugins").Output()
	for _, file := range strings.Fields(string(out)) {
		if !strings.HasPrefix(file, "../../pkg/netns/") {
			t.Errorf("%s locks threads or changes namespaces, which only pkg/netns may", file)
		}
	}
}
