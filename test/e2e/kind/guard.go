package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

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
// all rights there find the settings of the real machine read-only, and what the real machine
// lacks is not asked for.
func containerRuntime(args []string) error {
	var err error
	switch {
	case slices.Contains(args, "create"):
		err = rewrite(after(args, "--bundle")+"/config.json", func(spec object) error {
			lessen(spec["process"])
			return addHook(spec)
		})
	case slices.Contains(args, "exec"):
		err = rewrite(after(args, "--process"), func(process object) error {
			lessen(process)
			return nil
		})
	}
	if err != nil {
		return err
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return unix.Exec(runc, append([]string{"runc"}, args...), os.Environ())
}

// after is an option's value.
func after(args []string, option string) string {
	if at := slices.Index(args, option); at >= 0 && at+1 < len(args) {
		return args[at+1]
	}
	return ""
}

// rewrite changes a file of JSON.
func rewrite(file string, change func(object) error) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var content object
	if err := json.Unmarshal(text, &content); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := change(content); err != nil {
		return err
	}
	if text, err = json.Marshal(content); err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// lessen takes from a process what a machine without CAP_SYS_RESOURCE refuses it: that
// capability, and limits above the machine's own.
func lessen(process any) {
	p, ok := process.(object)
	if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_RESOURCE, 0, 0, 0); !ok || err != nil || has == 1 {
		return
	}
	delete(p, "rlimits")
	sets, _ := p["capabilities"].(object)
	for name, set := range sets {
		if list, ok := set.([]any); ok {
			sets[name] = slices.DeleteFunc(list, func(c any) bool { return c == "CAP_SYS_RESOURCE" })
		}
	}
}

// addHook makes runc call this program when the container has its mounts.
func addHook(spec object) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	hooks, ok := spec["hooks"].(object)
	if !ok {
		hooks = object{}
	}
	list, _ := hooks["createContainer"].([]any)
	hooks["createContainer"] = append(list, object{"path": exe, "args": []string{exe, hookMark}})
	spec["hooks"] = hooks
	return nil
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
