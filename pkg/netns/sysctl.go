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

// Sysctls are open directories of one network namespace, by their path below /proc/sys:
// net/ipv4 and net/ipv6. Each namespace has its own. To find one the kernel compares those of
// all namespaces (proc_sys_compare): with 600 containers that was a fifth of the CPU of an
// ADD. A nil Sysctls keeps no directory open.
type Sysctls map[string]int

// ownProc is the key of a proc filesystem that nobody else looks at.
const ownProc = ""

// OwnSysctls are Sysctls for a container, in a proc filesystem of our own. Entries of /proc
// stay in the kernel's cache as long as the container's namespace lives, and slow every later
// look-up; entries of our own filesystem go with it. With 900 containers it saves a fifth of
// the CPU of an ADD, and costs 0.07 ms. Before Linux 5.8 (fa10fed30f25) all proc filesystems
// are one. Without fsopen (Linux 5.2) or the right to mount, it uses /proc.
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
	fd, err := d.open(key, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return sysctlValue(fd, key)
}

func (d Sysctls) open(key string, flags int) (int, error) {
	dir, name := d.at(key)
	fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		err = fmt.Errorf("sysctl %s: open: %w", Dotted(key), err)
	}
	return fd, err
}

// Write makes the value the wanted one, with one open.
func (d Sysctls) Write(key, value string) error {
	fd, err := d.open(key, unix.O_RDWR)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
		// A setting on a read-only disk may be right.
		if have, rerr := d.Read(key); rerr == nil && have == value {
			return nil
		}
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	have, err := sysctlValue(fd, key)
	if err != nil || have == value {
		return err
	}
	if _, err := unix.Pwrite(fd, []byte(value), 0); err != nil {
		return fmt.Errorf("sysctl %s: write %s: %w", Dotted(key), value, err)
	}
	if have, err = sysctlValue(fd, key); err == nil && have != value {
		err = fmt.Errorf("sysctl %s: wrote %s, but it reads %s", Dotted(key), value, have)
	}
	return err
}

func sysctlValue(fd int, key string) (string, error) {
	var text [128]byte // these are numbers
	n, err := unix.Pread(fd, text[:], 0)
	if err != nil {
		return "", fmt.Errorf("sysctl %s: read: %w", Dotted(key), err)
	}
	return strings.TrimSpace(string(text[:n])), nil
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
	return strings.NewReplacer("/", ".", ".", "/").Replace(key)
}

// ReadOnly says whether the key can't be written because /proc/sys is mounted read-only.
func (d Sysctls) ReadOnly(key string) bool {
	dir, name := d.at(key)
	return errors.Is(unix.Faccessat(dir, name, unix.W_OK, 0), unix.EROFS)
}

// NoFamily says whether err, of reading or writing the key, means that the kernel or the link has
// no IPv6 (MTU below 1280, addrconf_notify): the key's directory is missing. A key that is missing
// in a directory is hidden: its protection is needed.
func (d Sysctls) NoFamily(key string, err error) bool {
	if !errors.Is(err, os.ErrNotExist) {
		return false
	}
	dir, name := d.at(path.Dir(key))
	return errors.Is(unix.Faccessat(dir, name, unix.F_OK, 0), unix.ENOENT)
}
