package lease

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// TestForget: an IPv6 pool never comes back to released addresses, so what has rested
// is forgotten, and what is resting stays.
func TestForget(t *testing.T) {
	dir := t.TempDir()
	s := unlocked(dir, "net")
	if err := s.makeDirs(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := os.WriteFile(s.path(netip.MustParseAddr(fmt.Sprintf("fd00::%d", i+1))), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.free(netip.MustParseAddr(fmt.Sprintf("fd00::%d", i+1))); err != nil {
			t.Fatal(err)
		}
	}
	// No address at all, as a stand-in for one that has rested: its time can't be set.
	if err := os.WriteFile(filepath.Join(s.index.dir, restName, "stale"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.forget()
	entries, err := os.ReadDir(filepath.Join(s.index.dir, restName))
	if err != nil || len(entries) != 3 {
		t.Errorf("got %v, %v, want the three that are resting", entries, err)
	}
}

// TestAwake: of an address that is leased again nothing is left that says it rests.
func TestAwake(t *testing.T) {
	p := newPool(t, `[{"subnet": "10.1.0.0/30"}]`) // one address beside the gateway's
	p.wantAdd("c1", "10.1.0.2")
	p.wantDel("c1")
	freed := index2(p).resting(netip.MustParseAddr("10.1.0.2"))
	if _, err := os.Lstat(freed); err != nil {
		t.Errorf("a released address does not rest: %v", err)
	}
	p.wantAdd("c2", "10.1.0.2")
	if _, err := os.Lstat(freed); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an address in use rests: %v", err)
	}
}
