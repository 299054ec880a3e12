package ipam

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// besideMe is a directory on the test binary's file system, for hard links.
func besideMe(t *testing.T) string {
	t.Helper()
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(me), "ipam")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func link(t *testing.T, path string) {
	t.Helper()
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(me, path); err != nil {
		t.Fatal(err)
	}
}

func TestIsThisProgram(t *testing.T) {
	me, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	id := buildID("/proc/self/exe")
	if id == nil {
		t.Fatal("this program has no build ID")
	}
	rebuilt := bytes.Clone(me)
	rebuilt[bytes.Index(rebuilt, id)] ^= 1
	dir := besideMe(t)
	tests := []struct {
		name string
		make func(path string) error
		want bool
	}{
		{"hard link", func(p string) error { link(t, p); return nil }, true},
		{"symbolic link", func(p string) error { return os.Symlink("/proc/self/exe", p) }, true},
		{"copy", func(p string) error { return os.WriteFile(p, me, 0o755) }, true},
		{"another build of the same size", func(p string) error { return os.WriteFile(p, rebuilt, 0o755) }, false},
		{"cut copy", func(p string) error { return os.WriteFile(p, me[:len(me)-1], 0o755) }, false},
		{"script", func(p string) error { return os.WriteFile(p, []byte("#!/bin/sh\n"), 0o755) }, false},
		{"empty", func(p string) error { return os.WriteFile(p, nil, 0o755) }, false},
		{"missing", func(string) error { return nil }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.name)
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			if got := isThisProgram(path); got != tt.want {
				t.Errorf("got %t, want %t", got, tt.want)
			}
		})
	}
}

// TestBuildID: what stands at the beginning of a file is not trusted to be a note.
func TestBuildID(t *testing.T) {
	const nameSize, kind, name = "04000000", "04000000", "476f0000"
	tests := []struct{ name, hex, want string }{
		{"note", nameSize + "03000000" + kind + name + "616263ff", "616263"},
		{"note of another kind", nameSize + "03000000" + "03000000" + name + "616263ff", ""},
		{"size 0", nameSize + "00000000" + kind + name + "616263", ""},
		{"size beyond the end", nameSize + "ff000000" + kind + name + "616263", ""},
		{"nothing before it", kind + name + "616263", ""},
		{"no note", "7f454c46", ""},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(buildID(path)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if buildID(t.TempDir()) != nil || buildID("/nowhere") != nil {
		t.Error("got a build ID of a directory or of nothing")
	}
}
