package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// variant is one implementation under one configuration. Every variant does the same
// work for a container: link, address, default route, masquerade, published ports.
type variant struct {
	name      string
	reference bool
	single    bool   // bridge publishes the ports itself; no chained portmap
	backend   string // "" is the implementation's default
	xtables   string // which program answers to the name iptables: nft or legacy
	bound     bool   // ipspoofchk
	entries   int    // of egress; 0 is no egress
	own       bool   // each container's egress is its own
}

const (
	refDefault  = "ref iptables-nft"
	refLegacy   = "ref iptables-legacy"
	refNftables = "ref nftables"
	oursChained = "ours chained"
	oursSingle  = "ours one plugin"
	oursCompat  = "ours iptables"
	floorName   = "C floor"
	emptyName   = "empty Go program"
	controlName = "ours one plugin, again" // the same a second time: how far the run can be believed
)

var (
	references = []variant{
		{name: refDefault, reference: true, xtables: "nft"},
		{name: refLegacy, reference: true, xtables: "legacy"},
		{name: refNftables, reference: true, backend: "nftables", xtables: "nft"},
	}
	ours = []variant{
		{name: oursChained, xtables: "nft"},
		{name: oursSingle, single: true, xtables: "nft"},
		{name: oursCompat, backend: "iptables", xtables: "nft"},
	}
)

// isReference goes by the name, which is all that a sample keeps.
func isReference(name string) bool { return strings.HasPrefix(name, "ref ") }

type object = map[string]any

const (
	networkName = "pfnet"
	bridgeName  = "cnipf0"
	subnet4     = "10.88.0.0/16"
	gateway4    = "10.88.0.1"
	subnet6     = "fd00:88::/64"
)

// conflist is the configuration that a runtime would have.
func (v variant) conflist(dataDir string, dual bool) []byte {
	ranges := [][]object{{{"subnet": subnet4}}}
	routes := []object{{"dst": "0.0.0.0/0"}}
	if dual {
		ranges = append(ranges, []object{{"subnet": subnet6}})
		routes = append(routes, object{"dst": "::/0"})
	}
	bridge := object{
		"type": "bridge", "bridge": bridgeName, "isGateway": true, "ipMasq": true, "hairpinMode": true,
		"ipam": object{"type": "host-local", "ranges": ranges, "routes": routes, "dataDir": dataDir},
	}
	portmap := object{"type": "portmap", "capabilities": object{"portMappings": true}, "snat": true}
	if v.backend != "" {
		bridge["ipMasqBackend"], portmap["backend"] = v.backend, v.backend
	}
	if v.bound {
		bridge["ipspoofchk"] = true
	}
	if v.entries > 0 && !v.own {
		bridge["egress"] = egress(v.entries, 0)
	}
	plugins := []object{bridge, portmap}
	if v.single {
		bridge["capabilities"] = object{"portMappings": true, "egress": v.own}
		plugins = plugins[:1]
	}
	return encode(object{"cniVersion": "1.1.0", "name": networkName, "plugins": plugins})
}

// encode is for values of this package, which JSON can hold.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// xtablesDir makes a folder that comes first in PATH and decides what iptables is.
func xtablesDir(parent, kind string) (string, error) {
	dir := filepath.Join(parent, "xtables-"+kind)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	program, err := exec.LookPath("xtables-" + kind + "-multi")
	if err != nil {
		return "", fmt.Errorf("iptables is needed: run `make bench`: %w", err)
	}
	for _, name := range []string{"iptables", "iptables-restore", "iptables-save"} {
		for _, link := range []string{name, strings.Replace(name, "ip", "ip6", 1)} {
			if err := os.Symlink(program, filepath.Join(dir, link)); err != nil && !os.IsExist(err) {
				return "", err
			}
		}
	}
	return dir, nil
}
