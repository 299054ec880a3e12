package crash

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"golang.org/x/sys/unix"
)

// group are errnos of one call that lead to the same code: one of them, in turn from point to
// point, stands for all.
type group []unix.Errno

// What the kernel can say, call by call: the manual page's errors, less those that tell of a
// mistake in the program (EBADF, EFAULT, EINVAL). EROFS is of a disk, not of one call.
var (
	full    = group{unix.ENOSPC, unix.EIO, unix.ENOMEM}
	interr  = group{unix.EINTR}
	exists  = group{unix.EEXIST}
	missing = group{unix.ENOENT}
	denied  = group{unix.EPERM}
	busy    = group{unix.EBUSY}

	opening = []group{{unix.ENOSPC, unix.EIO, unix.ENOMEM, unix.EMFILE}, interr, exists, missing, denied}
	ofPaths = []group{full, exists, missing, denied}
	renames = []group{full, exists, missing, denied, busy}
	ofFiles = []group{full, interr, denied}
	writing = []group{full, interr, denied, {unix.EAGAIN}}
	removal = []group{{unix.EIO, unix.ENOMEM}, busy, missing, denied}
	mounts  = []group{{unix.ENOMEM, unix.EMFILE}, busy, missing, denied, {unix.ENODEV}, {unix.EOPNOTSUPP}}
	birth   = []group{{unix.EAGAIN, unix.ENOMEM}}
	program = []group{missing, {unix.EACCES, unix.ENOMEM, unix.EIO}, {unix.ETXTBSY}}
	spaces  = []group{{unix.ENOMEM, unix.ENOSPC}, denied}
	sending = []group{{unix.ENOMEM, unix.ENOBUFS}, interr, denied, {unix.EAGAIN}, exists, {unix.ENODEV}}
)

// errnos are what each call is made to fail with. EEXIST and ENODEV of a netlink message are no
// errors of its sending: whoever takes them for the kernel's answer goes on as if all were well.
// pkg/netlink (sendto) tells nothing of a failed sending apart but EINTR; others may.
var errnos = map[string][]group{
	"openat": opening, "creat": opening,
	"write": writing, "writev": writing, "pwrite64": writing,
	"ftruncate": ofFiles, "fsync": ofFiles, "fdatasync": ofFiles, "fchmod": ofFiles, "fchown": ofFiles,
	"mkdir": ofPaths, "mkdirat": ofPaths, "link": ofPaths, "linkat": ofPaths, "symlink": ofPaths, "symlinkat": ofPaths,
	"utimensat": ofPaths, "chmod": ofPaths, "fchmodat": ofPaths, "chown": ofPaths, "fchownat": ofPaths,
	"rename": renames, "renameat": renames, "renameat2": renames,
	"rmdir": removal, "unlink": removal, "unlinkat": removal,
	"flock": {interr, {unix.EAGAIN}, {unix.ENOLCK, unix.ENOMEM}},
	"setns": spaces, "unshare": spaces,
	"socket":     {{unix.EMFILE, unix.ENOMEM, unix.ENOBUFS}, denied, {unix.EPROTONOSUPPORT}},
	"bind":       {{unix.ENOMEM, unix.EADDRINUSE}, denied},
	"setsockopt": {{unix.ENOMEM, unix.ENOBUFS, unix.ENOPROTOOPT}, denied},
	"sendto":     {interr, {unix.ENOMEM, unix.ENOBUFS, unix.EPERM, unix.EAGAIN}, {unix.EEXIST, unix.ENODEV}},
	"sendmsg":    sending, "sendmmsg": sending,
	"clone": birth, "clone3": birth, "fork": birth, "vfork": birth, "execve": program, "execveat": program,
	"mount": mounts, "umount2": mounts, "fsopen": mounts, "fsconfig": mounts, "fsmount": mounts,
	"exit_group": {}, // it can't fail
}

// alike are errnos that the plugins' code must not tell apart, as groups rely on it.
var alike = group{unix.ENOSPC, unix.EIO, unix.ENOMEM, unix.EMFILE, unix.ENOLCK, unix.EADDRINUSE, unix.ENOPROTOOPT}

// possible are the errnos to let call n of this verb fail with. "Not there" is said
// of things that are not there, and then it is right to go on: of files DEL and GC want to be
// gone. nf_tables' library has non-blocking sockets, on which a send is never interrupted; and
// where it would have to wait, as with a pipe to a program, the kernel says when to go on, which
// it can't after a failure that it knows nothing of: an IPAM plugin would get its 100 s.
func possible(a act, n int, e trace.Effect) []unix.Errno {
	var list []unix.Errno
	for _, g := range errnos[e.Name] {
		errno := g[n%len(g)]
		switch {
		case errno == unix.ENOENT && (a.verb == "DEL" || a.verb == "GC"):
		case (errno == unix.EINTR || errno == unix.EAGAIN) && e.Name == "sendmsg":
		case errno == unix.EAGAIN && e.ToPipe():
		default:
			list = append(list, errno)
		}
	}
	return list
}

// TestAlike wants no comparison with an errno that stands for others, or that others stand for.
func TestAlike(t *testing.T) {
	names := make([]string, len(alike))
	for i, errno := range alike {
		names[i] = unix.ErrnoName(errno)
	}
	compares := regexp.MustCompile(`(errors\.Is|Ignore|Flush|case |==|!=).*(unix|syscall)\.(` + strings.Join(names, "|") + `)\b`)
	for _, root := range []string{"../../pkg", "../../plugins"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, line := range strings.Split(string(text), "\n") {
				if found := compares.FindString(line); found != "" {
					t.Errorf("%s: %s: give the errno a group of its own", path, found)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for call, groups := range errnos {
		for _, g := range groups {
			for _, errno := range g {
				if len(g) > 1 && call != "sendto" && !slices.Contains(alike, errno) && errno != unix.ENOBUFS && errno != unix.EAGAIN && errno != unix.EACCES {
					t.Errorf("%s: %s is in a group, but nothing says that nobody tells it apart", call, unix.ErrnoName(errno))
				}
			}
		}
	}
}
