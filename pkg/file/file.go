// Package file reads and writes small files with few system calls. Package os needs up to nine
// in place of three, since it offers each file to its poller. An ADD opens thirty files: that
// would be a hundred calls more, and 5 % of the CPU. Replace is for installers: it is slower,
// and safe for files that others read or execute meanwhile.
//
//	err := file.Overwrite(path, 0o600, "10.88.0.2")
//	err = file.Replace("/opt/cni/bin/bridge", program, 0o755)
package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Open is os.OpenFile for files that never block. Flags are unix.O_*.
func Open(path string, flags int, mode uint32) (*os.File, error) {
	fd, err := open(path, flags, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func open(path string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, mode)
		if err == nil {
			return fd, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// Read is os.ReadFile.
func Read(path string) ([]byte, error) {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	data := make([]byte, 0, 1024)
	for {
		n, err := unix.Read(fd, data[len(data):cap(data)])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return data, nil
		}
		data = data[:len(data)+n]
		if len(data) == cap(data) {
			data = slices.Grow(data, len(data))
		}
	}
}

// Write writes text to the beginning of the file. The rest of the file stays.
func Write(path string, flags int, mode uint32, text string) error {
	fd, err := open(path, flags|unix.O_WRONLY, mode)
	if err != nil {
		return err
	}
	return errors.Join(write(fd, path, text), unix.Close(fd))
}

// Overwrite gives the file new content without emptying it first. When a file that was emptied
// is closed, ext4 starts to write to the disk (auto_da_alloc): 5 % of an ADD. A symbolic link
// or FIFO at the path is an error.
func Overwrite(path string, mode uint32, text string) error {
	fd, err := open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK, mode)
	if err != nil {
		return err
	}
	err = write(fd, path, text)
	if err == nil {
		err = unix.Ftruncate(fd, int64(len(text)))
	}
	return errors.Join(err, unix.Close(fd))
}

func write(fd int, path, text string) error {
	for data := []byte(text); len(data) > 0; {
		n, err := unix.Write(fd, data)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "write", Path: path, Err: err}
		}
		data = data[n:]
	}
	return nil
}

// Replace gives the file new content and mode by a temporary file and a rename, so that nobody
// reads or executes half of it, even after a power cut. It makes a missing folder. containerd's
// watcher would not notice a file that comes from another folder.
func Replace(path string, data []byte, mode os.FileMode) error {
	return replace(path, bytes.NewReader(data), mode)
}

func replace(path string, from io.Reader, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("%s: replace: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Copy is Replace with another file's content, of which it holds a part at a time.
func Copy(from, to string, mode os.FileMode) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close() // read-only, nothing to lose
	return replace(to, f, mode)
}
