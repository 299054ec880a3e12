package hostlocal

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// quarantine is how long a released address rests while others are free: clients
// and caches may still take its next owner for the last one.
const quarantine = 30 * time.Second

// freedPrefix begins the names of leases that were released: they are moved into the
// index, where the time of the move (ctime) tells how long they have rested.
const freedPrefix = "freed."

func (x index) freed(a netip.Addr) string { return filepath.Join(x.dir, freedPrefix+a.String()) }

// free gives an address back. Moving the file costs what removing it would.
func (s *Store) free(a netip.Addr) error {
	err := os.Rename(s.path(a), s.index.freed(a))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		// A directory that somebody planted, or a full disk: removing still works.
		err = os.Remove(s.path(a))
	}
	return err
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

func isFreed(name string) bool { return strings.HasPrefix(name, freedPrefix) }
