package kit

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// apartMark is the first argument of the program when it becomes a host's process 1, and
// joinMark when it starts one of a host's daemons.
const (
	apartMark = "host-init"
	joinMark  = "host-join"
)

// NewHost makes a node for a container engine with whole machines in its containers. Its
// host name, IPC and control groups are its own, too, and the settings of the machine can
// only be read there. The machines' containers see those by GuardSysctls.
func NewHost(lan *LAN, name, addrs string) (*Node, error) {
	n := &Node{Name: name, Dir: filepath.Join(nodesDir, name), lan: lan, addrs: addrs, host: true}
	return n, n.PowerOn()
}

// apart takes the namespaces that a host has beyond a node's, and goes on as its process 1.
func apart(text string) error {
	var info bootInfo
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return err
	}
	dirs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := join(filepath.Join(dir, info.Group)); err != nil {
			return err
		}
	}
	// They are the thread's; the program that it executes has them whole.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return unix.Exec(exe, []string{os.Args[0], bootMark, text}, os.Environ())
}

// join moves this process into a control group.
func join(group string) error {
	return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o644)
}

// mountHost lays out what a host has beyond a node.
func (b bootInfo) mountHost() error {
	if err := unix.Sethostname([]byte(b.Name)); err != nil {
		return err
	}
	if err := mount("sysfs", "/sys", ""); err != nil { // that of its network
		return err
	}
	if err := mountCgroups(); err != nil {
		return err
	}
	return GuardSysctls("/proc")
}

// mountCgroups mounts what this process sees of the control groups: the host's own are the
// top. With v2 the top must have no process when groups below it are to have limits.
func mountCgroups() error {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	lines := strings.Fields(string(text))
	if len(lines) == 1 {
		return mountUnified()
	}
	if err := mount("tmpfs", cgroupRoot, "mode=755"); err != nil {
		return err
	}
	for _, line := range lines {
		controllers := strings.SplitN(line, ":", 3)[1]
		if controllers == "" { // v2 beside v1
			continue
		}
		dir := filepath.Join(cgroupRoot, strings.TrimPrefix(controllers, "name="))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := mount("cgroup", dir, controllers); err != nil {
			return err
		}
	}
	return nil
}

// daemons is where a host's processes are with v2.
const daemons = cgroupRoot + "/daemons"

func mountUnified() error {
	if err := mount("cgroup2", cgroupRoot, ""); err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(daemons, 0o755), join(daemons)); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
	for _, controller := range strings.Fields(string(text)) {
		err = errors.Join(err, os.WriteFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"), []byte("+"+controller), 0o644))
	}
	return err
}

// joined goes on as another program, in the control groups of the host that it is on.
func joined(argv []string) error {
	groups := []string{daemons}
	if !exists(daemons) {
		var err error
		if groups, err = hierarchies(); err != nil {
			return err
		}
	}
	for _, group := range groups {
		if err := join(group); err != nil {
			return err
		}
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return unix.Exec(program, argv, os.Environ())
}
