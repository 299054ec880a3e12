package machine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// limitsMark is a Limits as JSON: the program puts it in force and becomes a plugin.
	limitsMark = "BRIDGEPORT_MACHINE_LIMITS"
	// binMark is the directory of the plugin.
	binMark = "BRIDGEPORT_MACHINE_BIN"
)

// notLimited is the exit status where the limits could not be put in force. No plugin ends so.
const notLimited = 99

// limits hold for one process and what it starts.
type limits struct {
	Files    *uint64 // RLIMIT_NOFILE
	FileSize *uint64 // RLIMIT_FSIZE, in bytes
	Space    uint64  // RLIMIT_AS, in MB
	Group    string  // the file cgroup.procs to be written to
	// Mounts are done in a mount namespace of the process's own.
	Unmount  []string
	ReadOnly []string
	// Denied are system calls that a runtime's profile forbids.
	Denied []denial
}

// denial is one system call of a profile.
type denial struct {
	Call  uintptr
	Errno unix.Errno
}

// become puts the limits in force, and executes the plugin by whose name it was called.
func become() int {
	if err := limited(); err != nil {
		fmt.Fprintf(os.Stderr, "machine: %v\n", err)
	}
	return notLimited
}

func limited() error {
	runtime.LockOSThread() // namespaces and filters are the thread's, and the new program's
	var l limits
	if err := json.Unmarshal([]byte(os.Getenv(limitsMark)), &l); err != nil {
		return err
	}
	path, err := syscall.BytePtrFromString(filepath.Join(os.Getenv(binMark), filepath.Base(os.Args[0])))
	if err != nil {
		return err
	}
	environ := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, limitsMark) || strings.HasPrefix(kv, binMark)
	})
	env, err := syscall.SlicePtrFromStrings(environ)
	if err != nil {
		return err
	}
	argv := []*byte{path, nil}
	if err := l.mounts(); err != nil {
		return err
	}
	if l.Group != "" {
		if err := os.WriteFile(l.Group, []byte("0"), 0o644); err != nil {
			return err
		}
	}
	if err := l.rlimits(); err != nil {
		return err
	}
	if err := deny(l.Denied); err != nil {
		return err
	}
	// As of here Go's runtime can get nothing any more.
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&env[0])))
	return fmt.Errorf("exec: %w", errno)
}

func (l limits) mounts() error {
	if len(l.Unmount)+len(l.ReadOnly) == 0 {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("/: make private: %w", err)
	}
	for _, dir := range l.ReadOnly {
		if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("%s: bind: %w", dir, err)
		}
		if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("%s: read-only: %w", dir, err)
		}
	}
	for _, dir := range l.Unmount {
		// One may lie on another: a container without /proc has none of them.
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
		if _, err := os.Stat(filepath.Join(dir, "self")); err == nil {
			return fmt.Errorf("%s: still there", dir)
		}
	}
	return nil
}

func (l limits) rlimits() error {
	for resource, value := range map[int]*uint64{unix.RLIMIT_NOFILE: l.Files, unix.RLIMIT_FSIZE: l.FileSize} {
		if value == nil {
			continue
		}
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: *value, Max: *value}); err != nil {
			return fmt.Errorf("limit %d: %w", resource, err)
		}
	}
	if l.Space > 0 {
		n := l.Space << 20
		return unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: n, Max: n})
	}
	return nil
}

// deny installs a filter (seccomp(2)) that lets each denied call fail, for this thread and what it executes.
func deny(list []denial) error {
	if len(list) == 0 {
		return nil
	}
	const load, equal, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	program := []unix.SockFilter{{Code: load, K: 0}} // struct seccomp_data: the call's number
	for _, d := range list {
		program = append(program,
			unix.SockFilter{Code: equal, K: uint32(d.Call), Jf: 1},
			unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO | uint32(d.Errno)})
	}
	program = append(program, unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW})
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	return nil
}
