package machine

import (
	"fmt"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// fault is one fault with one value.
type fault struct {
	name string
	kind string // "disk", "leases", "limits", "missing", "exhausted" or "profile"
	run  func(r *room, c stage.Call) (stage.Answer, time.Duration, error)
	// says is what each error names, one of them; nil for a fault that no verb may notice.
	says []string
	// dies says that Go's runtime or the kernel may end the process: it is then as a kill.
	dies bool
	// lasting says that STATUS can see the fault before an ADD meets it.
	lasting bool
	// leaves says that the way back by programs is barred, too: then the error names both.
	leaves bool
	// otherwise says that the verb may work in another way.
	otherwise bool
}

// faults are the table's lines.
func faults() (list []fault) {
	for _, part := range []struct {
		kind string
		list []fault
	}{{"disk", disk()}, {"leases", broken()}, {"limits", files()}, {"missing", missing()}, {"exhausted", exhausted()}, {"profile", forbidden()}} {
		for _, f := range part.list {
			f.kind = part.kind
			list = append(list, f)
		}
	}
	return list
}

// some is a part of the values in a quick run.
func some[T any](values []T, every int) (list []T) {
	for i, v := range values {
		if all || i%every == 0 || i == len(values)-1 {
			list = append(list, v)
		}
	}
	return list
}

// disk are faults of the disk with the leases, which begin before the call and end after it.
func disk() (list []fault) {
	for _, d := range []struct {
		name       string
		begin, end func(*room) error
		says       string
	}{
		{"disk full", fill, empty, "no space left"},
		{"no inodes", useInodes, freeInodes, "no space left"},
		{"read-only", remount(unix.MS_RDONLY), remount(0), "read-only"},
	} {
		list = append(list, fault{name: d.name, says: []string{d.says}, lasting: true, run: func(r *room, c stage.Call) (stage.Answer, time.Duration, error) {
			r.Must(d.begin(r))
			defer func() { r.Must(d.end(r)) }()
			start := time.Now()
			answer, err := r.Host.CNI(r.Bin, c)
			return answer, time.Since(start), err
		}})
	}
	return list
}

// broken are calls on the leases that fail from one on, each of them.
func broken() (list []fault) {
	ofLeases := func(r *room, e trace.Effect) bool { return strings.HasPrefix(e.Detail, r.data()) }
	for _, errno := range []unix.Errno{unix.EIO, unix.ESTALE, unix.ENOTCONN} {
		for _, from := range some([]int{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32}, 9) {
			if !all && errno != unix.EIO && from > 1 {
				continue
			}
			f := calls(errno, from, ofLeases)
			f.name, f.says, f.lasting = fmt.Sprintf("%s of the leases from call %d on", unix.ErrnoName(errno), from), []string{errno.Error()}, from == 1
			list = append(list, f)
		}
	}
	return list
}

// calls is a fault of calls, from one on.
func calls(errno unix.Errno, from int, named func(*room, trace.Effect) bool) fault {
	return fault{run: func(r *room, c stage.Call) (stage.Answer, time.Duration, error) {
		return r.traced(c, trace.Run{Errno: errno, From: from, Broken: func(e trace.Effect) bool { return named(r, e) }})
	}}
}

// within is a fault of the process's limits.
func within(name string, l limits, says ...string) fault {
	return fault{name: name, says: says, run: func(r *room, c stage.Call) (stage.Answer, time.Duration, error) { return r.under(l, c) }}
}

// files are limits of what a process may open and write.
func files() (list []fault) {
	for _, n := range some([]uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 25, 31}, 12) {
		f := within(fmt.Sprint("RLIMIT_NOFILE ", n), limits{Files: &n}, "RLIMIT_NOFILE")
		f.lasting = true
		list = append(list, f)
	}
	enough, nothing := uint64(32), uint64(0)
	return append(list,
		within("RLIMIT_NOFILE 32", limits{Files: &enough}),
		within("RLIMIT_FSIZE 0", limits{FileSize: &nothing}, "file too large"))
}

// missing are file systems of the kernel that a container may lack.
func missing() []fault {
	noProc := within("no /proc", limits{Unmount: []string{"/proc"}}, "/proc", "sysctl")
	noProc.lasting = true
	readOnly := within("read-only /proc/sys", limits{ReadOnly: []string{"/proc/sys"}}, "read-only")
	readOnly.otherwise = true // a setting that protects nobody stays as it is
	return []fault{noProc, readOnly, within("no /sys", limits{Unmount: []string{"/sys"}})}
}

// exhausted are limits that Go's runtime meets where no error can be returned.
func exhausted() (list []fault) {
	// The kernel says so of a limit of a control group, too.
	ofThreads := func(_ *room, e trace.Effect) bool { return strings.HasPrefix(e.Name, "clone") }
	ofMemory := func(_ *room, e trace.Effect) bool {
		return e.Name == "mmap" && !strings.HasPrefix(e.Program, "xtables")
	}
	for _, from := range some([]int{1, 2, 3, 4, 5, 6, 7, 8}, 4) {
		f := calls(unix.EAGAIN, from, ofThreads)
		f.name, f.says, f.leaves = fmt.Sprint("no thread or process from number ", from, " on"), []string{"temporarily unavailable"}, true
		list = append(list, f)
	}
	for _, from := range some([]int{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 22, 23, 24, 25}, 14) {
		f := calls(unix.ENOMEM, from, ofMemory)
		f.name = fmt.Sprint("no memory from mmap ", from, " on")
		list = append(list, f)
	}
	for _, mb := range some([]uint64{1, 10, 50, 100, 200, 300, 400, 500, 600, 700, 800, 900}, 6) {
		list = append(list, within(fmt.Sprintf("RLIMIT_AS %d MB", mb), limits{Space: mb}, "memory"))
	}
	for i := range list {
		list[i].dies = true
	}
	return append(list, within("RLIMIT_AS 2000 MB", limits{Space: 2000}))
}

// forbidden are calls that a runtime's profile forbids (seccomp), to us and to what we start.
func forbidden() (list []fault) {
	deny := func(name string, errno unix.Errno, says []string, calls ...uintptr) {
		f := within("profile: "+name, limits{}, says...)
		l := limits{}
		for _, c := range calls {
			l.Denied = append(l.Denied, denial{c, errno})
		}
		f.run = func(r *room, c stage.Call) (stage.Answer, time.Duration, error) { return r.under(l, c) }
		f.lasting = name != "no limits" && name != "no flock"
		list = append(list, f)
	}
	denied := []string{"operation not permitted"}
	mounts := []uintptr{unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE}
	// What Docker, containerd and podman forbid a container without CAP_SYS_ADMIN.
	deny("a container's", unix.EPERM, []string{"setns: operation not permitted"}, append(mounts, unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_BPF, unix.SYS_KEYCTL, unix.SYS_PERF_EVENT_OPEN)...)
	// No verb makes a namespace, so no limit of namespaces stops one.
	deny("no namespaces, no mounts", unix.EPERM, nil, append(mounts, unix.SYS_UNSHARE)...)
	// Which calls an old libseccomp does not know, it lets fail so.
	deny("an old libseccomp's", unix.ENOSYS, nil, unix.SYS_CLONE3, unix.SYS_OPENAT2, unix.SYS_STATX, unix.SYS_FACCESSAT2, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_SEND_SIGNAL,
		unix.SYS_CLOSE_RANGE, unix.SYS_FSOPEN, unix.SYS_RSEQ)
	deny("no sockets", unix.EPERM, []string{"socket: operation not permitted"}, unix.SYS_SOCKET)
	deny("no flock", unix.EPERM, []string{"lock: operation not permitted"}, unix.SYS_FLOCK)
	deny("no limits", unix.EPERM, denied, unix.SYS_PRCTL, unix.SYS_PRLIMIT64, unix.SYS_SETRLIMIT, unix.SYS_GETRLIMIT)
	return list
}
