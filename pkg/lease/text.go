package lease

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errNoFile says that what stands at a path is no regular file.
var errNoFile = errors.New("is no file")

// readText reads the first limit bytes of a regular file. The error is errNoFile for
// anything else that somebody may have planted there. It never blocks. flags is O_NOFOLLOW
// or 0. It takes four system calls.
func readText(path string, flags, limit int) (string, error) {
	fail := func(op string, err error) (string, error) { return "", &os.PathError{Op: op, Path: path, Err: err} }
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|flags, 0)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ELOOP) { // a socket, a symbolic link
		err = errNoFile
	}
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fail("read", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fail("read", errNoFile)
	}
	data := make([]byte, min(st.Size, int64(limit)))
	n := 0
	for n < len(data) {
		more, err := unix.Read(fd, data[n:])
		if err != nil {
			return fail("read", err)
		}
		if more == 0 {
			break // somebody has cut the file short meanwhile
		}
		n += more
	}
	return string(data[:n]), nil
}
