// Package setup puts plugins and configurations in place: a running node never sees half of one.
package setup

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/lint"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// previous is the directory that keeps the set before; no runtime looks into it.
const previous = ".bridgeport-previous"

// Installed is what became of one file.
type Installed struct {
	Path string `json:"path"`
	Was  string `json:"was,omitempty"` // version; "" where there was none
	Is   string `json:"is,omitempty"`  // "" where it was removed
}

// Install copies the set of the directory from into bin, each file by a rename, and
// keeps the files that were there for Rollback. Every new file is tried first.
func Install(from, bin string) ([]Installed, error) {
	for _, name := range node.Names {
		if node.PluginVersion(filepath.Join(from, name)) == "" && name != "bridgeport" {
			return nil, fmt.Errorf("install: %s: does not say its version: is it a plugin for this machine?", filepath.Join(from, name))
		}
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	staged := filepath.Join(bin, ".bridgeport-new")
	if err := errors.Join(os.RemoveAll(staged), os.Mkdir(staged, 0o755)); err != nil {
		return nil, err
	}
	defer os.RemoveAll(staged) // empty by then
	for i, name := range node.Names {
		source, target := filepath.Join(from, name), filepath.Join(staged, name)
		// The plugins are one file under three names.
		first := filepath.Join(staged, node.Names[0])
		if i > 0 && SameFile(source, filepath.Join(from, node.Names[0])) && os.Link(first, target) == nil {
			continue
		}
		if _, err := os.Stat(source); name == "bridgeport" && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := file.Copy(source, target, 0o755); err != nil {
			return nil, err
		}
	}
	if node.PluginVersion(filepath.Join(staged, node.Names[0])) == "" {
		return nil, fmt.Errorf("install: %s: a program can't be executed there: is it mounted noexec? nothing was changed", bin)
	}
	return exchange(bin, staged)
}

// SameFile says whether both paths lead to one file or directory that exists.
func SameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// Rollback exchanges the previous set and the present one: a second Rollback takes the first one back.
func Rollback(bin string) ([]Installed, error) {
	dir := filepath.Join(bin, previous)
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("rollback: %s: there is no previous set: %w", bin, err)
	}
	staged := filepath.Join(bin, ".bridgeport-new")
	defer os.RemoveAll(staged) // the previous set itself stays until it is replaced
	if err := keep(dir, staged); err != nil {
		return nil, err
	}
	return exchange(bin, staged)
}

// keep makes another directory with the set of one.
func keep(from, to string) error {
	if err := errors.Join(os.RemoveAll(to), os.Mkdir(to, 0o755)); err != nil {
		return err
	}
	for _, name := range node.Names {
		source, target := filepath.Join(from, name), filepath.Join(to, name)
		err := os.Link(source, target)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil { // a mount, or a file system without hard links
			err = file.Copy(source, target, 0o755)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exchange moves the present set to previous and the staged one into its place. Each name is a
// plugin at every moment. Where the present set can't be kept nothing is changed.
func exchange(bin, staged string) ([]Installed, error) {
	old, kept := filepath.Join(bin, previous), filepath.Join(bin, ".bridgeport-old")
	defer os.RemoveAll(kept) // it has been moved, but after an error
	if err := keep(bin, kept); err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(old), os.Rename(kept, old)); err != nil {
		return nil, err
	}
	var list []Installed
	for _, name := range node.Names {
		path := filepath.Join(bin, name)
		done := Installed{Path: path, Was: short(path)}
		err := os.Rename(filepath.Join(staged, name), path)
		if errors.Is(err, os.ErrNotExist) { // the staged set had none
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return list, err
		}
		done.Is = short(path)
		list = append(list, done)
	}
	return list, nil
}

// short is the first words of what a plugin says of itself.
func short(path string) string {
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	version, _, _ := strings.Cut(node.PluginVersion(path), " (")
	if version == "" && filepath.Base(path) == "bridgeport" {
		return "present"
	}
	return version
}

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
