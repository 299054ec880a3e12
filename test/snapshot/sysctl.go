package snapshot

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// procSys is where the calling thread sees the sysctls of its own namespace.
const procSys = "/proc/sys/"

// takeSysctls reads every writable value below net/. About a hundred files for each
// link: so it walks with as few system calls as it can.
func (s Snapshot) takeSysctls() error {
	return s.walkSysctls("net")
}

func (s Snapshot) walkSysctls(dir string) error {
	fd, err := unix.Open(procSys+dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) { // the directory of a link that just went
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 16<<10)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if errors.Is(err, unix.ENOENT) { // it went while it was read
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if n == 0 {
			return nil
		}
		for left := buf[:n]; len(left) > 0; {
			entry := left[:dirLen(left)]
			left = left[dirLen(left):]
			name, kind := cString(entry[direntName:]), entry[direntType]
			switch path := dir + "/" + name; {
			case name == "." || name == "..":
			case kind == unix.DT_DIR:
				if err := s.walkSysctls(path); err != nil {
					return err
				}
			default:
				s.readSysctl(fd, name, path)
			}
		}
	}
}

// Layout of struct linux_dirent64 (getdents64(2)).
const (
	direntLen  = 16
	direntType = 18
	direntName = 19
)

func dirLen(b []byte) int { return int(b[direntLen]) | int(b[direntLen+1])<<8 }

// readSysctl leaves out what nobody can write (state such as nf_conntrack_count, not
// settings) and what can't be read: commands such as route/flush, and values that
// are not set yet. The kernel checks a sysctl's mode for root too, so opening it for
// writing tells; nothing is written.
func (s Snapshot) readSysctl(dirfd int, name, path string) {
	if _, known := s["sysctl "+path]; known { // by its link
		return
	}
	fd, err := unix.Openat(dirfd, name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var buf [4096]byte
	if n, err := unix.Read(fd, buf[:]); err == nil {
		s["sysctl "+path] = strings.Join(strings.Fields(string(buf[:n])), " ")
	}
}
