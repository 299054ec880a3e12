// Package borders keeps the borders between the packages: who may import whom.
package borders

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/bridgeport-cni/bridgeport/"

// only says which packages alone may import a library, tests aside.
var only = map[string][]string{
	// The operator's command reads what no plugin asks for.
	"github.com/vishvananda/netlink": {"pkg/netlink", "pkg/kernel", "plugins/installer", "plugins/bridgeport/node", "plugins/bridgeport/playground"},
	"github.com/google/nftables":     {"pkg/nft", "plugins/bridgeport/node"},
	"github.com/spf13/cobra":         {"plugins/bridgeport/command", "plugins/bridgeport/gen"},
	"github.com/charmbracelet":       {"plugins/bridgeport/show"},
	// Starting a program costs milliseconds; of the plugins' only delegation and iptables may.
	"os/exec":  {"pkg/iptables", "pkg/ipam", "plugins/bridgeport/node", "plugins/bridgeport/command", "plugins/bridgeport/playground"},
	"net/http": {"plugins/installer"},
}

// layers: a package may import those of lower layers and none of its own or above,
// unless it is listed in beside.
var layers = map[string]int{
	"pkg/log":       -1, // plugins' edge to the runtime writes it
	"pkg/plainfile": -1,
	"pkg/dump":      -1, // also for tests and the operator's command
	"pkg/netlink":   0, "pkg/flock": 0, "pkg/netns": 0, "pkg/cni": 0,
	"pkg/nft": 1, "pkg/iptables": 1, "pkg/conntrack": 1, "pkg/ipam": 1,
	"pkg/kernel":        2,
	"plugins/hostlocal": 3, "plugins/portmap": 3, "plugins/loopback": 3,
	"plugins/bridge": 4, "plugins/installer": 5, "plugins": 5,
	// The operator's command: reading, joining, the sub-commands' work, the command.
	"plugins/bridgeport/show": 5, "plugins/bridgeport/node": 5, "plugins/bridgeport/attachment": 6,
	"plugins/bridgeport/doctor": 7, "plugins/bridgeport/mend": 7, "plugins/bridgeport/lint": 7, "plugins/bridgeport/trace": 7,
	"plugins/bridgeport/graph": 7, "plugins/bridgeport/setup": 8, "plugins/bridgeport/playground": 7, "plugins/bridgeport/report": 8,
	"plugins/bridgeport/command": 9, "plugins/bridgeport": 10,
	// Man pages and completions, made from the command; in no shipped program.
	"plugins/bridgeport/gen": 10,
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

// TestStart keeps what is slow to start out of the plugins, however it would get in.
func TestStart(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"plugins").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		if pkg == "net/http" || pkg == "log/slog" || strings.Contains(pkg, "/plugins/bridgeport/") || strings.HasPrefix(pkg, "github.com/charmbracelet/") || pkg == "crypto/tls" || strings.HasPrefix(pkg, "go.opentelemetry.io/") {
			t.Errorf("the plugins depend on %s", pkg)
		}
	}
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
