package kit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// Cgroup is the control group that all containers of the node belong below.
func (n *Node) Cgroup() string { return n.cgroup }

// makeCgroup makes the node's group in each hierarchy. Its name has the network
// namespace's number in it, so that two runs of the test don't meet.
func (n *Node) makeCgroup() error {
	n.cgroup = fmt.Sprintf("/bridgeport-e2e-%d", n.Ino())
	dirs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(dir, n.cgroup), 0o755); err != nil {
			return err
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // empty ones take no process
			text, err := os.ReadFile(filepath.Join(dir, file))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, n.cgroup, file), text, 0o644)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// hierarchies are one directory with cgroup v2, several with v1.
func hierarchies() ([]string, error) {
	if exists(filepath.Join(cgroupRoot, "cgroup.procs")) {
		return []string{cgroupRoot}, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	var dirs []string
	for _, e := range entries {
		if e.IsDir() { // the others are links to them
			dirs = append(dirs, filepath.Join(cgroupRoot, e.Name()))
		}
	}
	return dirs, err
}

// removeCgroup removes the node's groups. The kernel needs a moment to take killed
// processes out of them.
func (n *Node) removeCgroup() error {
	hierarchies, err := hierarchies()
	for _, dir := range hierarchies {
		err = errors.Join(err, Wait(10*time.Second, func() error { return removeGroups(filepath.Join(dir, n.cgroup)) }))
	}
	return err
}

func removeGroups(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	for _, dir := range slices.Backward(dirs) {
		if rerr := unix.Rmdir(dir); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("%s: %w", dir, rerr))
		}
	}
	return err
}
