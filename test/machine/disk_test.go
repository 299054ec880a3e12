package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// fill takes all blocks of the disk with the leases.
func fill(r *room) error {
	err := os.WriteFile(filepath.Join(r.disk, "filler"), make([]byte, 1<<20), 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("the disk is not full: %w", err)
	}
	return nil
}

func empty(r *room) error { return os.Remove(filepath.Join(r.disk, "filler")) }

func useInodes(r *room) error { return stage.UseInodes(filepath.Join(r.disk, "many")) }

func freeInodes(r *room) error { return os.RemoveAll(filepath.Join(r.disk, "many")) }

func remount(flags uintptr) func(*room) error {
	return func(r *room) error { return unix.Mount("", r.disk, "", unix.MS_REMOUNT|flags, diskOptions) }
}
