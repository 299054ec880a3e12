package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/containernetworking/cni/pkg/version"
)

// Network is a network's configuration.
type Network struct {
	File       string `json:"-"`
	Name       string `json:"name"`
	CNIVersion string `json:"cniVersion"`
	// Versions are those that the list allows beside it; a runtime takes the newest
	// that it knows.
	Versions []string `json:"cniVersions"`
	Plugins  []Plugin `json:"-"`
	Bytes    []byte   `json:"-"`
	Bad      error    `json:"-"` // why a runtime can't read it; nil if it can
}

// Plugin is what the operator's command needs to know of one plugin's configuration,
// whichever plugin it is.
type Plugin struct {
	Type         string          `json:"type"`
	Bridge       string          `json:"bridge"`
	IsGateway    bool            `json:"isGateway"`
	IsDefault    bool            `json:"isDefaultGateway"`
	IPMasq       bool            `json:"ipMasq"`
	MasqBackend  string          `json:"ipMasqBackend"`
	Backend      string          `json:"backend"`
	Promisc      bool            `json:"promiscMode"`
	Capabilities map[string]bool `json:"capabilities"`
	IPAM         struct {
		Type string `json:"type"`
	} `json:"ipam"`
	DataDir string         `json:"-"` // of host-local's leases; "" where none is named
	Raw     map[string]any `json:"-"`
}

// BridgeName is the bridge of a plugin of type bridge, cni0 where it names none.
func (p Plugin) BridgeName() string {
	if p.Type == "bridge" && p.Bridge == "" {
		return "cni0"
	}
	return p.Bridge
}

// networks reads the configuration files as libcni does: *.conf, *.conflist and *.json,
// sorted by name.
func networks(dir string) ([]Network, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("configurations: %w", err)
	}
	var list []Network
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".conf", ".conflist", ".json":
		default:
			continue
		}
		path := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(path)
		var net Network
		if err == nil {
			net, err = ParseNetwork(data)
		}
		net.File, net.Bytes, net.Bad = path, data, err
		if err == nil && strings.HasSuffix(path, ".conflist") && !listed(data) {
			net.Bad = errors.New("plugins: missing, a .conflist needs a list of them")
		}
		list = append(list, net)
	}
	return list, nil
}

func listed(data []byte) bool {
	var w struct {
		Plugins []json.RawMessage `json:"plugins"`
	}
	return json.Unmarshal(data, &w) == nil && len(w.Plugins) > 0
}

// ParseNetwork reads a list, or a single plugin's configuration.
func ParseNetwork(data []byte) (Network, error) {
	var net Network
	if err := json.Unmarshal(data, &net); err != nil {
		return net, err
	}
	for _, v := range net.Versions {
		if newer, err := version.GreaterThan(v, net.CNIVersion); err == nil && newer && slices.Contains(version.All.SupportedVersions(), v) {
			net.CNIVersion = v
		}
	}
	var w struct {
		Plugins []json.RawMessage `json:"plugins"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return net, err
	}
	if w.Plugins == nil {
		w.Plugins = []json.RawMessage{data}
	}
	for _, raw := range w.Plugins {
		var p Plugin
		if err := json.Unmarshal(raw, &p); err != nil {
			return net, err
		}
		if err := json.Unmarshal(raw, &p.Raw); err != nil {
			return net, err
		}
		if p.IPAM.Type == "host-local" {
			p.DataDir = lease.DataDir(raw)
		}
		net.Plugins = append(net.Plugins, p)
	}
	if net.Name == "" {
		return net, errors.New("name: missing, every network needs one")
	}
	return net, nil
}
