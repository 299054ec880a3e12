package lease

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// rest is how long a released address rests while others are free: clients and caches
// may still take its next owner for the last one.
const rest = 30 * time.Second

// restName is the directory in the index for leases that were released. The time of the
// move (ctime) is the beginning of the rest.
const restName = "freed"

func (x index) resting(a netip.Addr) string { return filepath.Join(x.dir, restName, a.String()) }

// free gives an address back. A missing file is success. Moving the file costs as much as
// removing it.
func (s *store) free(a netip.Addr) error {
	if os.Rename(s.path(a), s.index.resting(a)) != nil {
		// The file is gone, or it is a directory that somebody planted, or the disk is full.
		return ioError("remove lease", remove(s.path(a)))
	}
	if raw := a.AsSlice(); raw[len(raw)-1]%forgetEvery == 0 {
		s.forget()
	}
	return nil
}

// remove removes a file. A missing file is success.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// forgetEvery is how many released addresses may gather before those that have
// rested are forgotten. An IPv6 pool never comes back to them by itself.
const forgetEvery = 64

// forget removes the files of addresses that have rested. The next call tries again what
// can't be removed.
func (s *store) forget() {
	entries, err := os.ReadDir(filepath.Join(s.index.dir, restName))
	if err != nil {
		return
	}
	for _, e := range entries {
		if a, err := netip.ParseAddr(e.Name()); err != nil || !s.rests(a) {
			_ = os.Remove(filepath.Join(s.index.dir, restName, e.Name()))
		}
	}
}

// rests says whether the address was released less than rest ago. A clock that was set
// back ends the rest.
func (s *store) rests(a netip.Addr) bool {
	var st unix.Stat_t
	if unix.Lstat(s.index.resting(a), &st) != nil {
		return false
	}
	age := time.Since(time.Unix(st.Ctim.Unix()))
	return age >= 0 && age < rest
}
