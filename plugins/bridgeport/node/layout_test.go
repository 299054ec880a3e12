package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// set makes a directory with programs that say what a plugin of the maker says.
func set(t *testing.T, dir, line string, names ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text := fmt.Sprintf("#!/bin/sh\necho '%s'\n", fmt.Sprintf(line, name))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	oursSays      = "bridgeport %s plugin v0.1.0 (commit 0123)"
	referenceSays = "CNI %s plugin v1.10.0"
)

func TestPluginDir(t *testing.T) {
	for _, c := range []struct {
		name, command, where string // directories of the command and of the plugins
	}{
		{"an archive", "bridgeport-linux-amd64", "bridgeport-linux-amd64"},
		{"a node's folder", "opt/cni/bin", "opt/cni/bin"},
		{"a package", "usr/bin", "usr/lib/bridgeport"},
		{"a checkout", "checkout/bin", "checkout/bin"},
		{"go build in a checkout", "checkout", "checkout/bin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, c.command), 0o755); err != nil {
				t.Fatal(err)
			}
			set(t, filepath.Join(root, c.where), oursSays, plugins...)
			if got, err := PluginDir(filepath.Join(root, c.command)); err != nil || got != filepath.Join(root, c.where) {
				t.Errorf("%s, %v; want %s", got, err, filepath.Join(root, c.where))
			}
		})
	}
}

// TestFirstWithOurs: the order counts, and a set that is another's or not whole does not.
func TestFirstWithOurs(t *testing.T) {
	root := t.TempDir()
	in := func(name string) string { return filepath.Join(root, name) }
	set(t, in("reference"), referenceSays, plugins...)
	set(t, in("part"), oursSays, plugins[:2]...)
	set(t, in("mixed"), oursSays, plugins...)
	set(t, in("mixed"), referenceSays, plugins[2])
	set(t, in("first"), oursSays, plugins...)
	set(t, in("second"), oursSays, Names...)
	for _, c := range []struct {
		name string
		dirs []string
		want string
	}{
		{"the first", []string{in("first"), in("second")}, "first"},
		{"the order counts", []string{in("second"), in("first")}, "second"},
		{"behind the reference's", []string{in("reference"), in("first")}, "first"},
		{"behind a part", []string{in("part"), in("mixed"), in("second")}, "second"},
		{"behind none", []string{in("none"), in("first")}, "first"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := firstWithOurs(c.dirs...); err != nil || got != in(c.want) {
				t.Errorf("%s, %v; want %s", got, err, in(c.want))
			}
		})
	}
	_, err := firstWithOurs(in("none"), in("reference"), in("part"))
	if err == nil || !strings.Contains(err.Error(), in("reference")) || !strings.Contains(err.Error(), "host-local") {
		t.Errorf("the error names what was looked at and what was looked for: %v", err)
	}
}
