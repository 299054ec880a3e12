// Package setup writes configurations for runtimes.
package setup

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/lint"
)

// Wish is what a configuration is to be.
type Wish struct {
	Runtime string // containerd, crio, nerdctl or kind
	Name    string
	Bridge  string
	Subnets []string
	MTU     string // bytes, "auto", or "" for the bridge's
	NoPorts bool
}

// Runtimes are what Wish.Runtime may be.
var Runtimes = []string{"containerd", "crio", "nerdctl", "kind"}

// File is the name that the runtime's first choice would have.
func (w Wish) File() string {
	first := map[string]string{"nerdctl": "nerdctl", "kind": "05"}[w.Runtime] // before kindnet's 10-
	return cmp.Or(first, "10") + "-" + w.Name + ".conflist"
}

// Conflist is the configuration, linted: a wish that makes one with problems is an error.
func (w Wish) Conflist() ([]byte, error) {
	var ranges [][]map[string]string
	for _, text := range w.Subnets {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("--subnet: %q is not a CIDR such as 10.88.0.0/16", text)
		}
		ranges = append(ranges, []map[string]string{{"subnet": p.Masked().String()}})
	}
	bridge := map[string]any{
		"type": "bridge", "bridge": w.Bridge, "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
		"ipam": map[string]any{"type": "host-local", "ranges": ranges},
	}
	switch w.MTU {
	case "", "0":
	case "auto":
		bridge["mtu"] = "auto"
	default:
		bridge["mtu"] = json.Number(w.MTU)
	}
	plugins := []any{bridge}
	// CRI-O publishes ports itself.
	if !w.NoPorts && w.Runtime != "crio" {
		portmap := map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}}
		if w.Runtime == "nerdctl" { // it looks for free ports in the rules of iptables alone
			portmap["backend"] = "iptables"
		}
		plugins = append(plugins, portmap)
	}
	text, err := json.MarshalIndent(map[string]any{
		"cniVersion": "1.0.0", "cniVersions": []string{"1.0.0", "1.1.0"}, "name": w.Name, "plugins": plugins,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("--mtu: %q is neither a number of bytes nor \"auto\"", w.MTU)
	}
	text = append(text, '\n')
	for _, p := range lint.File(filepath.Base(w.File()), text) {
		if p.Severity == "error" {
			return nil, fmt.Errorf("init: %s", p.Text)
		}
	}
	return text, nil
}
