package hostlocal

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// quarantine is how long a released address rests while others are free: clients
// and caches may still take its next owner for the last one.
const quarantine = 30 * time.Second

// freedName is the directory in the index that leases are moved into when they are
// released; the time of the move (ctime) tells how long they have rested.
const freedName = "freed"

func (x index) freed(a netip.Addr) string { return filepath.Join(x.dir, freedName, a.String()) }

// free gives an address back. Moving the file costs what removing it would.
func (s *Store) free(a netip.Addr) error {
	err := os.Rename(s.path(a), s.index.freed(a))
	if err != nil {
		// It is gone; or a directory that somebody planted, or a full disk: then
		// removing still works.
		if err = os.Remove(s.path(a)); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return err
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
func (s *Store) forget() {
	entries, err := os.ReadDir(filepath.Join(s.index.dir, freedName))
	if err != nil {
		return
	}
	for _, e := range entries {
		if a, err := netip.ParseAddr(e.Name()); err != nil || !s.resting(a) {
			_ = os.Remove(filepath.Join(s.index.dir, freedName, e.Name()))
		}
	}
}

// resting says whether the address was released just now. A clock that was set
// back ends the rest.
func (s *Store) resting(a netip.Addr) bool {
	var st unix.Stat_t
	if unix.Lstat(s.index.freed(a), &st) != nil {
		return false
	}
	age := time.Since(time.Unix(st.Ctim.Unix()))
	return age >= 0 && age < quarantine
}

// awake forgets the last owner of an address that is leased again.
func (s *Store) awake(a netip.Addr) {
	_ = os.Remove(s.index.freed(a)) // absent, unless it was released before
}
