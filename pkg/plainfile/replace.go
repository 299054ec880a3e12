package plainfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Replace writes a file by a temporary one beside it and a rename, so that nobody ever
// reads, executes or keeps half of it. The rename stays inside the directory: containerd's
// watcher does not notice a file that comes from elsewhere. The content is on the disk
// when Replace returns. Of two calls at the same time for one path, one may fail.
func Replace(path string, content io.Reader, mode os.FileMode) error {
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) { // of one that was killed
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()) // Chmod: whatever the umask is
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), os.Remove(temporary))
	}
	return nil
}
