package netns

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

const sysctlRoot = "/proc/sys/"

// Sysctls are open directories of one network namespace, by their path below
// /proc/sys: net/ipv4 and net/ipv6, with which the namespaces' settings part. To find one
// of them the kernel compares it with that of each other namespace (proc_sys_compare);
// with 600 containers that was a fifth of the CPU of an ADD. nil opens none.
type Sysctls map[string]int

// ownProc is the key of a proc filesystem that nobody else looks at.
const ownProc = ""

// OwnSysctls are Sysctls for a visit to a container. What is looked up in /proc stays in the
// kernel's cache as long as the container's namespace does, where each look at the host's
// settings and each new container's has to pass it; what is looked up in a proc filesystem
// of our own goes with it. With 900 containers that is a fifth of the CPU of an ADD; it
// costs 0.07 ms, most of it when it is closed. Before Linux 5.8 (fa10fed30f25) all are the same one; without fsopen,
// Linux 5.2, or without leave to mount, /proc serves.
func OwnSysctls() Sysctls {
	dirs := make(Sysctls)
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return dirs
	}
	defer unix.Close(fs)
	if unix.FsconfigCreate(fs) != nil {
		return dirs
	}
	proc, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err == nil {
		dirs[ownProc] = proc
	}
	return dirs
}

// Read is the value of a setting.
func (d Sysctls) Read(key string) (string, error) {
	dir, name := d.at(key)
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("sysctl %s: open: %w", Dotted(key), err)
	}
	defer unix.Close(fd)
	have, err := sysctlValue(fd)
	if err != nil {
		return "", fmt.Errorf("sysctl %s: read: %w", Dotted(key), err)
	}
	return have, nil
}

// Write makes the value the wanted one, with one open.
func (d Sysctls) Write(key, value string) error {
	dir, name := d.at(key)
	fd, err := unix.Openat(dir, name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
		// What can't be written may be right.
		if have, rerr := d.Read(key); rerr == nil && have == value {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("sysctl %s: open: %w", Dotted(key), err)
	}
	defer unix.Close(fd)
	have, err := sysctlValue(fd)
	if err != nil {
		return fmt.Errorf("sysctl %s: read: %w", Dotted(key), err)
	}
	if have == value {
		return nil
	}
	if _, err := unix.Pwrite(fd, []byte(value), 0); err != nil {
		return fmt.Errorf("sysctl %s: write %s: %w", Dotted(key), value, err)
	}
	if have, err = sysctlValue(fd); err == nil && have != value {
		err = fmt.Errorf("wrote %s, but it reads %s", value, have)
	}
	if err != nil {
		return fmt.Errorf("sysctl %s: %w", Dotted(key), err)
	}
	return nil
}

func sysctlValue(fd int) (string, error) {
	var text [128]byte // these are numbers
	n, err := unix.Pread(fd, text[:], 0)
	return strings.TrimSpace(string(text[:max(n, 0)])), err
}

// at is what to open for the key.
func (d Sysctls) at(key string) (dir int, name string) {
	parts := strings.SplitN(key, "/", 3)
	if d == nil || len(parts) < 3 {
		return unix.AT_FDCWD, sysctlRoot + key
	}
	family := parts[0] + "/" + parts[1]
	fd, known := d[family]
	if !known {
		root, below := unix.AT_FDCWD, sysctlRoot
		if own, ok := d[ownProc]; ok {
			root, below = own, "sys/"
		}
		var err error
		if fd, err = unix.Openat(root, below+family, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			return unix.AT_FDCWD, sysctlRoot + key // the error of this one says what is missing
		}
		d[family] = fd
	}
	return fd, parts[2]
}

// Close closes the directories.
func (d Sysctls) Close() {
	for _, fd := range d {
		_ = unix.Close(fd) // nothing was written to it
	}
}

// Dotted is the sysctl(8) spelling, in which a dot in a link's name is a slash.
func Dotted(key string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return '.'
		case '.':
			return '/'
		}
		return r
	}, key)
}

// NoFamily says whether err, of a look at the key, means that there is no IPv6: the kernel
// has none, or the link, whose MTU is below 1280, has none (addrconf_notify), and with it no
// directory of settings. A setting that is missing in a directory is hidden, and what the
// setting protects from would be let in.
func (d Sysctls) NoFamily(key string, err error) bool {
	if !errors.Is(err, os.ErrNotExist) {
		return false
	}
	dir, name := d.at(path.Dir(key))
	return errors.Is(unix.Faccessat(dir, name, unix.F_OK, 0), unix.ENOENT)
}
