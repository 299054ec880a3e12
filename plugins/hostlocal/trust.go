package hostlocal

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"golang.org/x/sys/unix"
)

// trusted says whether nobody but us can put files into the directories that leases
// are in: who can might lead our writing to any file of the machine. dataDir itself may
// be a symbolic link, the network's directory below it may not. A missing one is fine.
func trusted(dataDir, networkDir string) error {
	for _, d := range []struct {
		path string
		stat func(string, *unix.Stat_t) error
	}{{dataDir, unix.Stat}, {networkDir, unix.Lstat}} {
		var st unix.Stat_t
		err := d.stat(d.path, &st)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return ioError("look at "+d.path, err)
		}
		if why := untrusted(&st); why != "" {
			return cni.Errorf(cni.CodeIO, "leases: %s: %s: make it root's own, with mode 0755 at most, or name another \"dataDir\"", d.path, why)
		}
	}
	return nil
}

// untrusted says why, in words; "" for a directory that only we can write to.
func untrusted(st *unix.Stat_t) string {
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return "is no directory"
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Sprintf("belongs to user %d, who could plant files in it", st.Uid)
	case st.Mode&unix.S_IWOTH != 0:
		return "everybody may write to it, and plant files in it"
	case st.Mode&unix.S_IWGRP != 0 && st.Gid != 0:
		return fmt.Sprintf("group %d may write to it, and plant files in it", st.Gid)
	}
	return ""
}

// maxText is more than any file holds that readText is for, in bytes.
const maxText = 1 << 20

// readText reads a small file. It waits for nothing, and reads nothing but files:
// flags is O_NOFOLLOW where a symbolic link is none.
func readText(path string, flags int) ([]byte, error) {
	f, err := file.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("%s: is no file", path), err)
	}
	return io.ReadAll(io.LimitReader(f, maxText))
}
