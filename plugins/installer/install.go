package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
)

// installPlugins replaces each plugin by a rename: a runtime never executes half a file or
// one that is being written (ETXTBSY).
func installPlugins(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := file.Copy(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), 0o755); err != nil {
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
	return file.Replace(path, out.Bytes(), 0o644)
}
