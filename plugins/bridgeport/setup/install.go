// Package setup puts plugins and configurations in place, so that a running node never
// sees half of one.
package setup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
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
		if i > 0 && SameFile(source, filepath.Join(from, node.Names[0])) {
			if err := os.Link(filepath.Join(staged, node.Names[0]), target); err == nil {
				continue
			}
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

// SameFile says whether both paths lead to one file or directory. A path that leads nowhere
// is the same as none.
func SameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// Rollback puts the previous set back, and keeps the present one in its place: a second
// Rollback takes the first one back.
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

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// keep makes another directory with the set of one.
func keep(from, to string) error {
	if err := errors.Join(os.RemoveAll(to), os.Mkdir(to, 0o755)); err != nil {
		return err
	}
	for _, name := range node.Names {
		source, target := filepath.Join(from, name), filepath.Join(to, name)
		err := ignoreMissing(os.Link(source, target))
		if err != nil { // a mount, or a file system without hard links
			err = file.Copy(source, target, 0o755)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exchange moves the present set to previous and the staged one into its place. Each
// name is a plugin at every moment: the old file stays until the rename. Where the present
// set can't be kept nothing is changed, and the previous one stays.
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
			err = ignoreMissing(os.Remove(path))
		}
		if err != nil {
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
	version := node.PluginVersion(path)
	if version == "" && filepath.Base(path) == "bridgeport" {
		return "present"
	}
	version, _, _ = strings.Cut(version, " (")
	return version
}
