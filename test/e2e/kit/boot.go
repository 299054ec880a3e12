package kit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// bootInfo is what a node's process 1 needs to know.
type bootInfo struct {
	Name   string
	Dir    string // of the node
	Debian string // root of the unpacked packages
	Group  string // its control group
	Host   bool
}

// boot lays out the node's files and is its process 1 from then on. It returns only
// with an error.
func boot(text string) error {
	var info bootInfo
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return err
	}
	if err := info.mount(); err != nil {
		return err
	}
	children := make(chan os.Signal, 64)
	signal.Notify(children, unix.SIGCHLD)
	fmt.Println("ready")
	for range children {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if pid <= 0 || err != nil && !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
	return nil
}

func (b bootInfo) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("/: make private: %w", err)
	}
	steps := []func() error{
		func() error { return b.overlay("/usr") },
		func() error { return b.overlay("/etc") },
		func() error { return b.overlay("/opt") },
		func() error { return b.overlay("/var/log") },
		func() error { return b.bind("lib", "/var/lib") },
		func() error { return mount("tmpfs", "/run", "mode=755") },
		func() error { return mount("proc", "/proc", "") },
		func() error {
			return errors.Join(os.MkdirAll("/run/netns", 0o755), os.MkdirAll("/run/lock", 0o755), os.MkdirAll("/run/tmp", 0o777), os.MkdirAll("/run/home", 0o700))
		},
		writeSysctls,
		func() error {
			if b.Host {
				return b.mountHost()
			}
			return coverSysctls("/proc")
		},
		// kubelet wants mounts to travel.
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "") },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("mounts, step %d: %w", i, err)
		}
	}
	return nil
}

func mount(kind, at, data string) error {
	if err := unix.Mount(kind, at, kind, 0, data); err != nil {
		return fmt.Errorf("%s: mount %s: %w", at, kind, err)
	}
	return nil
}

// overlay makes changes to the machine's directory the node's own, and puts the
// packages' files into it.
func (b bootInfo) overlay(dir string) error {
	upper, work := filepath.Join(b.Dir, "upper", dir), filepath.Join(b.Dir, "work", dir)
	if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	lower := dir
	if packages := filepath.Join(b.Debian, dir); exists(packages) {
		lower = packages + ":" + dir
	}
	return mount("overlay", dir, "lowerdir="+lower+",upperdir="+upper+",workdir="+work)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (b bootInfo) bind(from, at string) error {
	from = filepath.Join(b.Dir, from)
	if err := os.MkdirAll(from, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("%s: bind %s: %w", at, from, err)
	}
	return nil
}
