package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"golang.org/x/sys/unix"
)

// The first arguments of the program when Docker calls it instead of runc, and when runc
// calls it for a container that is about to start.
const (
	runtimeMark = "container-runtime"
	hookMark    = "guard"
)

// containerRuntime is runc for containers that are whole machines: process 1 and whoever has
// all rights there find the settings of the real machine read-only. Where the machine lacks
// CAP_SYS_RESOURCE, limits above its own are refused, so there are none.
func containerRuntime(args []string) error {
	if slices.Contains(args, "create") {
		at := slices.Index(args, "--bundle")
		if at < 0 || at+1 == len(args) {
			return fmt.Errorf("no bundle in %s", strings.Join(args, " "))
		}
		if err := rewrite(filepath.Join(args[at+1], "config.json")); err != nil {
			return err
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return unix.Exec(runc, append([]string{"runc"}, args...), os.Environ())
}

// rewrite changes a container's specification.
func rewrite(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(text, &spec); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if process, ok := spec["process"].(map[string]any); ok {
		delete(process, "rlimits")
	}
	hooks, ok := spec["hooks"].(map[string]any)
	if !ok {
		hooks = map[string]any{}
	}
	list, _ := hooks["createContainer"].([]any)
	hooks["createContainer"] = append(list, map[string]any{"path": exe, "args": []string{filepath.Base(exe), hookMark}})
	spec["hooks"] = hooks
	if text, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// guard is the hook createContainer: in the container's mounts, before its root is the only one.
func guard(state io.Reader) error {
	var about struct{ Bundle string }
	if err := json.NewDecoder(state).Decode(&about); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(about.Bundle, "config.json"))
	if err != nil {
		return err
	}
	var spec struct {
		Root struct{ Path string }
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	root := spec.Root.Path
	if !filepath.IsAbs(root) {
		root = filepath.Join(about.Bundle, root)
	}
	return kit.GuardSysctls(filepath.Join(root, "proc"))
}
