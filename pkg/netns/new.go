package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// New makes a network namespace and keeps it alive by a bind mount at path, as
// `ip netns add` does. The file is created; its directory too, if missing. The
// loopback device inside is down. Remove it by Remove. It needs CAP_SYS_ADMIN.
func New(path string) (*NS, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := makeAndMount(path); err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return Open(path)
}

// makeAndMount leaves the new namespace by Do. To let the thread end with its goroutine is not
// enough: Go never ends the main thread, whose namespace the whole process seems to have
// (/proc/self/ns/net).
func makeAndMount(path string) error {
	host, err := Current()
	if err != nil {
		return err
	}
	defer host.Close()
	return host.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("%s: make network namespace: %w", path, err)
		}
		if err := unix.Mount(ownPath, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: mount network namespace: %w", path, err)
		}
		return nil
	})
}

// Remove unmounts the namespace at path and removes the file. The namespace
// itself dies with its last user. An absent path is success.
func Remove(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("%s: unmount: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
