package hostlocal

import (
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
	s := &Store{dir: filepath.Join(dir, "net"), index: index{dir: filepath.Join(dir, indexName, "net")}}
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
	if err := os.WriteFile(filepath.Join(s.index.dir, freedName, "stale"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.forget()
	entries, err := os.ReadDir(filepath.Join(s.index.dir, freedName))
	if err != nil || len(entries) != 3 {
		t.Errorf("got %v, %v, want the three that are resting", entries, err)
	}
}
