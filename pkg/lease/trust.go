package lease

import (
	"errors"
	"fmt"
	"os"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"golang.org/x/sys/unix"
)

// trusted is an error if anybody but us can put files into the directories of leases: with
// a link in there our writing could reach any file of the machine. dataDir itself may be a
// symbolic link, the network's directory below it may not. A missing directory is fine.
// DEL and GC do not call it, since they must not refuse.
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
