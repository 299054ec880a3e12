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

// restName is the directory in the index that leases are moved into when they are
// released; the time of the move (ctime) tells how long they have rested.
const restName = "freed"

func (x index) resting(a netip.Addr) string { return filepath.Join(x.dir, restName, a.String()) }

// free gives an address back. Moving the file costs what removing it would. A missing file
// is success.
func (s *store) free(a netip.Addr) error {
	err := os.Rename(s.path(a), s.index.resting(a))
	if err != nil {
		// It is gone; or a directory that somebody planted, or a full disk: then
		// removing still works.
		if err = os.Remove(s.path(a)); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return ioError("remove lease", err)
	}
	if raw := a.AsSlice(); raw[len(raw)-1]%forgetEvery == 0 {
		s.forget()
	}
	return nil
}

// forgetEvery is how many released addresses may gather before those that have
// rested are forgotten: an IPv6 pool never comes back to them.
const forgetEvery = 64

// forget removes what has rested. What can't be removed is tried again next time.
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

// endRest forgets the last owner of an address that is leased again.
func (s *store) endRest(a netip.Addr) {
	_ = os.Remove(s.index.resting(a)) // absent, unless it was released before
}
