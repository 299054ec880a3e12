package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Replace gives the file new content and mode by a temporary file and a rename, so that nobody
// reads or executes half of it, even after a power cut. It makes a missing folder. The
// temporary file is in the same folder, since containerd's watcher does not notice a file that
// comes from another one.
func Replace(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("%s: replace: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Copy is Replace with another file's content.
func Copy(from, to string, mode os.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return Replace(to, data, mode)
}
