package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/bridgeport-cni/bridgeport/pkg/plainfile"
)

// installPlugins copies each plugin beside its place and renames it there, so that a
// runtime never executes half a file or one that is being written (ETXTBSY).
func installPlugins(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = plainfile.Replace(filepath.Join(to, e.Name()), bytes.NewReader(data), 0o755)
		}
		if err != nil {
			return fmt.Errorf("plugin %s: install: %w", e.Name(), err)
		}
	}
	return nil
}

// values are those of containerd's conf_template.
type values struct {
	PodCIDR       string
	PodCIDRRanges []string
	Routes        []string // none: a default route comes from isDefaultGateway
}

// writeConflist writes the list if it is not there already, word for word: each change
// makes the runtime load it again.
func writeConflist(tmpl, path string, podCIDRs []string) error {
	if len(podCIDRs) == 0 {
		return errors.New("podCIDRs: the node has none: start kube-controller-manager with --allocate-node-cidrs")
	}
	t, err := template.ParseFiles(tmpl)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, values{PodCIDR: podCIDRs[0], PodCIDRRanges: podCIDRs}); err != nil {
		return err
	}
	if !json.Valid(out.Bytes()) {
		return fmt.Errorf("%s: does not give JSON: %s", tmpl, out.Bytes())
	}
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, out.Bytes()) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return plainfile.Replace(path, &out, 0o644)
}
