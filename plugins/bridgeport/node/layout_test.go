package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/install"
)

// set makes a directory with programs: this test for ours, since Go notes our module in it, or
// scripts for another's.
func set(t *testing.T, dir string, ours bool, names ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		_ = os.Remove(path) // there is none, mostly
		err := os.Symlink(self, path)
		if !ours {
			err = errors.Join(os.Remove(path), os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

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
			set(t, filepath.Join(root, c.where), true, plugins...)
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
	set(t, in("reference"), false, plugins...)
	set(t, in("part"), true, plugins[:2]...)
	set(t, in("mixed"), true, plugins...)
	set(t, in("mixed"), false, plugins[2])
	set(t, in("first"), true, plugins...)
	set(t, in("second"), true, install.Names...)
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
