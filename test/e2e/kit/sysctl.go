package kit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// kubeletSysctls are system-wide, and kubelet insists on them: it gets to see
// files with these values instead.
var kubeletSysctls = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// sysctlFiles is where a node has them.
const sysctlFiles = "/run/tmp"

// writeSysctls makes the files on a node.
func writeSysctls() error {
	for key, value := range kubeletSysctls {
		if err := os.WriteFile(filepath.Join(sysctlFiles, filepath.Base(key)), []byte(value+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// coverSysctls shows the node's files in a /proc.
func coverSysctls(proc string) error {
	for key := range kubeletSysctls {
		file := filepath.Join(sysctlFiles, filepath.Base(key))
		if err := unix.Mount(file, filepath.Join(proc, "sys", key), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// GuardSysctls keeps the settings of the whole machine from those who see this /proc: what is
// not of the network namespace can only be read. kubelet sees what it wants to.
func GuardSysctls(proc string) error {
	entries, err := os.ReadDir(filepath.Join(proc, "sys"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "net" {
			continue
		}
		dir := filepath.Join(proc, "sys", e.Name())
		if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("%s: make read-only: %w", dir, err)
		}
	}
	return coverSysctls(proc)
}

// moving are settings that are none: the kernel counts there, or draws a number.
var moving = []string{
	"fs/aio-nr", "fs/dentry-state", "fs/file-nr", "fs/inode-", "fs/quota/", "kernel/ns_last_pid",
	"kernel/perf_event_max_sample_rate", "kernel/pty/nr", "kernel/random/", "kernel/tainted",
}

// MachineSysctls are the settings of the whole machine, which no test may change.
func MachineSysctls() (map[string]string, error) {
	const root = "/proc/sys"
	all := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		key := strings.TrimPrefix(path, root+"/")
		switch {
		case err != nil:
			return err
		case key == "net":
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		for _, prefix := range moving {
			if strings.HasPrefix(key, prefix) {
				return nil
			}
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrPermission) { // it can only be written
			return nil
		}
		// Some answer with an error as long as what they are about is not there.
		if err == nil {
			all[key] = strings.TrimSpace(string(text))
		}
		return nil
	})
	return all, err
}
