package lease

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// onCoarse is a pool on a file system whose times are the kernel's ticks, as all have them
// before Linux 6.13.
func onCoarse(t *testing.T, ranges string) *pool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount ramfs")
	}
	dir := t.TempDir()
	if err := unix.Mount("ramfs", dir, "ramfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	data := filepath.Join(dir, "networks")
	return &pool{t, data, filepath.Join(data, "net"), ranges}
}

// TestForeignSameTick: what something else leases in the tick of our own last change is
// seen, too.
func TestForeignSameTick(t *testing.T) {
	p := onCoarse(t, `[{"subnet": "10.1.0.0/24"}]`)
	for i := range 20 {
		mine, theirs := fmt.Sprint("c", i), fmt.Sprint("x", i)
		if _, err := p.add(mine); err != nil {
			t.Fatal(err)
		}
		p.foreign(p.write(fmt.Sprint("10.1.0.", 200+i), theirs+"\r\neth0"))
		p.wantDel(theirs)
		p.wantDel(mine)
	}
	p.wantLeases("")
}
