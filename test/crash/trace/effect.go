package trace

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Effect is a system call that changes something outside its process, or could.
type Effect struct {
	Name   string
	Detail string // path, or what is sent
	// Program is the name of the file that the process executes.
	Program string
	Kept    bool // a file is opened that was there, and stays as it is
}

func (e Effect) String() string { return strings.TrimSpace(e.Name + " " + e.Detail) }

// what the first interesting argument is
const (
	plain   = iota
	path0   // a path in argument 0
	path1   // a path in argument 1
	path2   // a path in argument 2
	fd0     // a file in argument 0
	opening // a path in argument 1, flags in 2
	forking // flags in argument 0
	message // a struct msghdr in argument 1
)

// changing are flags of a file that is not only read.
const changing = unix.O_CREAT | unix.O_TRUNC | unix.O_WRONLY | unix.O_RDWR

// effects are the calls that count. Not ioctl, which only asks here.
var effects = map[uint64]struct {
	name string
	kind int
}{
	unix.SYS_OPENAT: {"openat", opening}, unix.SYS_CREAT: {"creat", path0},
	unix.SYS_CLONE: {"clone", forking}, unix.SYS_CLONE3: {"clone3", plain},
	unix.SYS_FORK: {"fork", plain}, unix.SYS_VFORK: {"vfork", plain},
	unix.SYS_EXECVE: {"execve", path0}, unix.SYS_EXECVEAT: {"execveat", path1},
	unix.SYS_SOCKET: {"socket", plain}, unix.SYS_BIND: {"bind", plain}, unix.SYS_SETSOCKOPT: {"setsockopt", plain},
	unix.SYS_SENDTO: {"sendto", fd0}, unix.SYS_SENDMSG: {"sendmsg", message}, unix.SYS_SENDMMSG: {"sendmmsg", plain},
	unix.SYS_WRITE: {"write", fd0}, unix.SYS_WRITEV: {"writev", fd0}, unix.SYS_PWRITE64: {"pwrite64", fd0},
	unix.SYS_FTRUNCATE: {"ftruncate", fd0}, unix.SYS_FSYNC: {"fsync", fd0}, unix.SYS_FDATASYNC: {"fdatasync", fd0},
	unix.SYS_MKDIR: {"mkdir", path0}, unix.SYS_MKDIRAT: {"mkdirat", path1}, unix.SYS_RMDIR: {"rmdir", path0},
	unix.SYS_UNLINK: {"unlink", path0}, unix.SYS_UNLINKAT: {"unlinkat", path1},
	unix.SYS_RENAME: {"rename", path0}, unix.SYS_RENAMEAT: {"renameat", path1}, unix.SYS_RENAMEAT2: {"renameat2", path1},
	unix.SYS_LINK: {"link", path1}, unix.SYS_LINKAT: {"linkat", path1},
	unix.SYS_SYMLINK: {"symlink", path1}, unix.SYS_SYMLINKAT: {"symlinkat", path2},
	unix.SYS_UTIMENSAT: {"utimensat", path1},
	unix.SYS_CHMOD:     {"chmod", path0}, unix.SYS_FCHMOD: {"fchmod", fd0}, unix.SYS_FCHMODAT: {"fchmodat", path1},
	unix.SYS_CHOWN: {"chown", path0}, unix.SYS_FCHOWN: {"fchown", fd0}, unix.SYS_FCHOWNAT: {"fchownat", path1},
	unix.SYS_FLOCK: {"flock", fd0}, unix.SYS_SETNS: {"setns", fd0}, unix.SYS_UNSHARE: {"unshare", plain},
	unix.SYS_MOUNT: {"mount", path1}, unix.SYS_UMOUNT2: {"umount2", path0},
	unix.SYS_FSOPEN: {"fsopen", path0}, unix.SYS_FSCONFIG: {"fsconfig", fd0}, unix.SYS_FSMOUNT: {"fsmount", fd0},
	unix.SYS_EXIT_GROUP: {"exit_group", plain},
}

// looks are further calls: they ask for something, or want memory or a thread.
var looks = map[uint64]struct {
	name string
	kind int
}{
	unix.SYS_OPENAT: {"openat", path1}, unix.SYS_OPEN: {"open", path0}, unix.SYS_CLONE: {"clone", plain},
	unix.SYS_STAT: {"stat", path0}, unix.SYS_LSTAT: {"lstat", path0}, unix.SYS_NEWFSTATAT: {"newfstatat", path1}, unix.SYS_STATX: {"statx", path1},
	unix.SYS_ACCESS: {"access", path0}, unix.SYS_FACCESSAT: {"faccessat", path1}, unix.SYS_FACCESSAT2: {"faccessat2", path1},
	unix.SYS_READLINK: {"readlink", path0}, unix.SYS_READLINKAT: {"readlinkat", path1}, unix.SYS_STATFS: {"statfs", path0},
	unix.SYS_READ: {"read", fd0}, unix.SYS_PREAD64: {"pread64", fd0}, unix.SYS_FSTAT: {"fstat", fd0}, unix.SYS_FSTATFS: {"fstatfs", fd0},
	unix.SYS_GETDENTS64: {"getdents64", fd0}, unix.SYS_MMAP: {"mmap", plain},
}

// lookOf is a call of looks, or any of effects.
func lookOf(pid int, in info) (Effect, bool) {
	call, known := looks[in.nr]
	if !known {
		return effectOf(pid, in)
	}
	e := Effect{Name: call.name, Program: program(pid)}
	switch call.kind {
	case path0, path1:
		e.Detail = text(pid, uintptr(in.args[call.kind-path0]))
	case fd0:
		e.Detail = file(pid, in.args[0])
	}
	return e, true
}

func effectOf(pid int, in info) (Effect, bool) {
	call, known := effects[in.nr]
	if !known {
		return Effect{}, false
	}
	e := Effect{Name: call.name, Program: program(pid)}
	switch call.kind {
	case path0, path1, path2:
		e.Detail = text(pid, uintptr(in.args[call.kind-path0]))
	case opening:
		e.Detail = text(pid, uintptr(in.args[1]))
		if in.args[2]&changing == 0 {
			return e, false
		}
		_, err := os.Stat(e.Detail)
		e.Kept = filepath.IsAbs(e.Detail) && err == nil && in.args[2]&unix.O_TRUNC == 0
	case forking:
		return e, in.args[0]&unix.CLONE_THREAD == 0
	case message:
		if at, size := firstPart(pid, uintptr(in.args[1])); size < netlinkHeader {
			e.Detail = "no netlink"
		} else {
			e.Detail = request(pid, at)
		}
	case fd0:
		e.Detail = file(pid, in.args[0])
		if strings.HasPrefix(e.Detail, "socket:") {
			e.Detail = request(pid, uintptr(in.args[1]))
		}
		// The Go runtime wakes its own threads by one.
		return e, !strings.Contains(e.Detail, "[eventfd]")
	}
	return e, true
}

func program(pid int) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return "" // it is gone
	}
	return filepath.Base(path)
}

func file(pid int, fd uint64) string {
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
	if err != nil {
		return fmt.Sprint("fd ", fd)
	}
	return name
}

// text reads a path.
func text(pid int, addr uintptr) string {
	b := make([]byte, 256)
	n := peek(pid, addr, b)
	s, _, _ := strings.Cut(string(b[:n]), "\x00")
	return s
}

// netlinkHeader is the size of a struct nlmsghdr.
const netlinkHeader = 16

// firstPart is where what a struct msghdr sends begins, and how long this part is: its first iovec.
func firstPart(pid int, header uintptr) (at uintptr, size uint64) {
	const iov = 16 // its offset, on 64 bits
	var b [16]byte
	if peek(pid, header+iov, b[:8]) < 8 || peek(pid, uintptr(binary.NativeEndian.Uint64(b[:])), b[:]) < len(b) {
		return 0, 0
	}
	return uintptr(binary.NativeEndian.Uint64(b[:])), binary.NativeEndian.Uint64(b[8:])
}

// request reads type and size of a netlink message (struct nlmsghdr).
func request(pid int, addr uintptr) string {
	b := make([]byte, 8)
	if peek(pid, addr, b) < len(b) {
		return ""
	}
	return fmt.Sprintf("netlink type %d, %d bytes", binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint32(b))
}
