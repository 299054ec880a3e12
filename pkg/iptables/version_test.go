package iptables

import (
	"os"
	"path/filepath"
	"testing"
)

// TestByVersion: a program without the variant in its name is taken for what it says it is.
func TestByVersion(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/bin")
	program := filepath.Join(dir, "iptables-restore")
	for text, want := range map[string][2]bool{ // nft, legacy
		"iptables-restore v1.8.9 (nf_tables)": {true, false},
		"iptables-restore v1.8.9 (legacy)":    {false, true},
		"iptables-restore v1.4.21":            {false, true},
	} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\necho '"+text+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"iptables-nft-restore", "iptables-legacy-restore"} {
			if got := byVersion(name); (got == program) != want[i] {
				t.Errorf("%s: %s: got %q", text, name, got)
			}
		}
	}
	if got := byVersion("iptables-restore"); got != "" {
		t.Errorf("got %q", got)
	}
}
