package snapshot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxContent is how much of a file is shown as it is; longer ones by their hash.
const maxContent = 1 << 10

func (s Snapshot) takeFiles(dir string) error {
	base := filepath.Base(dir)
	if _, taken := s["file "+base]; taken {
		return fmt.Errorf("%s: two directories have the same last element", dir)
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := contentText(path, info)
		if err != nil {
			return err
		}
		s["file "+filepath.Join(base, rel)] = info.Mode().String() + content
		return nil
	})
}

func contentText(path string, info fs.FileInfo) (string, error) {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		return " → " + to, err
	case !info.Mode().IsRegular(): // a directory; a FIFO would block
		return "", nil
	}
	b, err := os.ReadFile(path)
	if len(b) > maxContent {
		return fmt.Sprintf(" %d bytes, sha256 %x", len(b), sha256.Sum256(b)), err
	}
	return fmt.Sprintf(" %q", b), err
}
