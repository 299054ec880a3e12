// Package netns opens network namespaces and runs code inside them. It is the
// only place in the project that locks OS threads and calls setns(2).
//
//	ns, err := netns.Open("/run/netns/one")
//	defer ns.Close()
//	err = ns.Do(func() error { return nil }) // inside the namespace
package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

var (
	// ErrNotExist says that nothing is at the path: the namespace is gone with all inside it.
	ErrNotExist = errors.New("no such network namespace")
	// ErrNotNetns says that something is at the path, but not a network
	// namespace: after a reboot the plain file that was the mount point.
	ErrNotNetns = errors.New("not a network namespace")
	// ErrOwn says that it is the caller's own namespace, the host's.
	ErrOwn = errors.New("is the host's own network namespace")
)

// nsGetType is NS_GET_NSTYPE of ioctl_ns(2), Linux 4.11.
const nsGetType = 0xb703

// NS is an open network namespace, to be closed. It keeps the namespace alive, and the same for all
// steps of a verb even when the path is swapped.
type NS struct {
	path string
	fd   int // -1 when closed
	ino  uint64
}

// Open opens the network namespace at path. It needs no privilege beyond reading
// the path. Errors wrap ErrNotExist or ErrNotNetns where these apply.
func Open(path string) (*NS, error) {
	// O_NONBLOCK: a FIFO at the path must not hang a runtime.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%s: %w", path, ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: open: %w", path, err)
	}
	ino, err := check(fd)
	if err != nil {
		_ = unix.Close(fd) // read-only, nothing to lose
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &NS{path: path, fd: fd, ino: ino}, nil
}

// OpenOther is Open, but refuses the calling thread's own namespace and process 1's with
// ErrOwn, unless allowOwn is set. In these a container's link would be one of the host's.
func OpenOther(path string, allowOwn bool) (*NS, error) {
	ns, err := Open(path)
	if err != nil || allowOwn {
		return ns, err
	}
	own, err := Current()
	if err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	defer own.Close()
	if own.Ino() == ns.Ino() || ns.Ino() == firstProcess() {
		_ = ns.Close() // read-only
		return nil, fmt.Errorf("%s %w: give the container's", path, ErrOwn)
	}
	return ns, nil
}

// firstProcess is the inode number of process 1's namespace, which is no container's,
// even where this process runs in another one; 0 where we may not know.
func firstProcess() uint64 {
	var st unix.Stat_t
	if unix.Stat("/proc/1/ns/net", &st) != nil {
		return 0
	}
	return st.Ino
}

// Current opens the network namespace of the calling thread.
func Current() (*NS, error) {
	ns, err := Open(ownPath)
	if errors.Is(err, ErrNotExist) {
		err = fmt.Errorf("%s: open: %w: mount /proc", ownPath, unix.ENOENT)
	}
	return ns, err
}

// ownPath is the calling thread's network namespace.
const ownPath = "/proc/thread-self/ns/net"

// check returns the inode number of a network namespace, or an error for any other file.
func check(fd int) (ino uint64, err error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return 0, fmt.Errorf("statfs: %w", err)
	}
	if fs.Type != unix.NSFS_MAGIC {
		return 0, ErrNotNetns
	}
	kind, err := unix.IoctlRetInt(fd, nsGetType)
	if err != nil {
		return 0, fmt.Errorf("ask for its kind: %w", err)
	}
	if kind != unix.CLONE_NEWNET {
		return 0, fmt.Errorf("%w but one of another kind", ErrNotNetns)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, fmt.Errorf("stat: %w", err)
	}
	return st.Ino, nil
}

// Fd is the open file descriptor. It stays the property of the NS.
func (ns *NS) Fd() int { return ns.fd }

// Ino is the inode number: equal for two NS exactly if they are the same
// namespace. It is unique only as long as the namespace lives.
func (ns *NS) Ino() uint64 { return ns.ino }

// Close releases the file descriptor. A second Close is os.ErrClosed.
func (ns *NS) Close() error {
	if ns.fd < 0 {
		return os.ErrClosed
	}
	err := unix.Close(ns.fd)
	ns.fd = -1
	return err
}

// Do runs fn with the calling thread inside the namespace and brings it back. fn must start no
// goroutines in there. It needs CAP_SYS_ADMIN in both namespaces' owners (setns(2)).
func (ns *NS) Do(fn func() error) error {
	runtime.LockOSThread()
	host, err := unix.Open(ownPath, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("%s: open: %w", ownPath, err)
	}
	defer unix.Close(host)
	if err := unix.Setns(ns.fd, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter %s: setns: %w", ns.path, err)
	}
	ferr := fn()
	if err := back(host); err != nil {
		// The thread stays locked, so the Go runtime ends it with its
		// goroutine instead of running others in the wrong namespace.
		return errors.Join(ferr, fmt.Errorf("leave %s: %w", ns.path, err))
	}
	runtime.UnlockOSThread()
	return ferr
}

// back brings the thread home, if not at once: the kernel may lack memory for a moment. What follows,
// such as the undo of an ADD, would change the rules of the wrong namespace.
func back(host int) (err error) {
	for range 3 {
		if err = unix.Setns(host, unix.CLONE_NEWNET); err == nil {
			return nil
		}
	}
	return err
}

// New makes a network namespace and keeps it alive by a bind mount at path, as
// `ip netns add` does. The file is created; its directory too, if missing. The
// loopback device inside is down. Remove it by Remove. It needs CAP_SYS_ADMIN.
func New(path string) (*NS, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := makeAndMount(path); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return Open(path)
}

// makeAndMount leaves the new namespace by Do. To let the thread end with its goroutine is not
// enough: Go never ends the main thread, whose namespace the whole process seems to have
// (/proc/self/ns/net).
func makeAndMount(path string) error {
	host, err := Current()
	if err != nil {
		return err
	}
	defer host.Close()
	return host.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("%s: make network namespace: %w", path, err)
		}
		if err := unix.Mount(ownPath, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: mount network namespace: %w", path, err)
		}
		return nil
	})
}

// Remove unmounts the namespace and removes the file. An absent path is success.
func Remove(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%s: unmount: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// timerSlack is for threads that start a program, which inherits the slack, in nanoseconds
// (prctl(2), PR_SET_TIMERSLACK); 0 for no change.
var timerSlack uintptr

// KeepTimerSlack gives programs that Stay starts the timer slack of the calling thread. A
// thread of Go's runtime may have another slack.
func KeepTimerSlack() {
	if slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err == nil {
		timerSlack = uintptr(slack)
	}
}

// Stay runs fn, which starts a program, on one thread from beginning to end: a program
// with Pdeathsig is killed at the end of the thread that started it.
func Stay(fn func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if timerSlack > 0 {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0) // timers a little late harm nobody
	}
	return fn()
}
