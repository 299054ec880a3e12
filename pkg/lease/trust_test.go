package lease

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrusted: leases are not kept where somebody else could plant files.
func TestTrusted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give directories away")
	}
	tests := []struct {
		name  string
		spoil func(dataDir, dir string) error
		want  string
	}{
		{"as we make it", func(_, _ string) error { return nil }, ""},
		{"root's group", func(dataDir, _ string) error { return os.Chmod(dataDir, 0o775) }, ""},
		{"everybody", func(dataDir, _ string) error { return os.Chmod(dataDir, 0o777) }, "everybody may write"},
		{"everybody, sticky", func(dataDir, _ string) error { return os.Chmod(dataDir, 0o1777) }, "everybody may write"},
		{"a user's", func(_, dir string) error { return os.Chown(dir, 1000, 0) }, "belongs to user 1000"},
		{"a group's", func(_, dir string) error { return errors.Join(os.Chown(dir, 0, 1000), os.Chmod(dir, 0o775)) }, "group 1000 may write"},
		{"a link to elsewhere", func(dataDir, dir string) error {
			return errors.Join(os.Rename(dir, dataDir+".other"), os.Symlink(dataDir+".other", dir))
		}, "is no directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dataDir := filepath.Join(t.TempDir(), "data")
			dir := filepath.Join(dataDir, "net")
			err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dataDir, 0o755), tt.spoil(dataDir, dir))
			if err != nil {
				t.Fatal(err)
			}
			s, err := create(dataDir, "net")
			if err == nil {
				defer s.close()
			}
			if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
