package install

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
)

// keep makes the file from under the name to as well. A missing file is none. A symbolic link is made anew.
func keep(from, to string) error {
	if target, err := os.Readlink(from); err == nil {
		return os.Symlink(target, to)
	}
	err := os.Link(from, to)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return file.Copy(from, to, 0o755) // a mount, or a file system without hard links
}

// keepForeign keeps a file once: under its name, or with a number where another one has the name.
func keepForeign(path, dir string) error {
	if _, err := os.Lstat(path); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	target := filepath.Join(dir, filepath.Base(path))
	if equal(path, newest(target)) {
		return nil
	}
	n := 1
	for ; exists(numbered(target, n)); n++ {
	}
	return keep(path, numbered(target, n))
}

// newest is the file that was kept last.
func newest(path string) string {
	n := 1
	for ; exists(numbered(path, n+1)); n++ {
	}
	return numbered(path, n)
}

// numbered is the name of the n-th of several files that had one name: "bridge", "bridge.2".
func numbered(path string, n int) string {
	if n == 1 {
		return path
	}
	return fmt.Sprintf("%s.%d", path, n)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// same says whether both directories have the same files of a set.
func same(a, b string) bool {
	for _, name := range Names {
		x, y := filepath.Join(a, name), filepath.Join(b, name)
		if exists(x) != exists(y) || exists(x) && !equal(x, y) {
			return false
		}
	}
	return true
}

// equal says whether both are the same symbolic link, or files of the same content.
func equal(a, b string) bool {
	x, errX := os.Readlink(a)
	y, errY := os.Readlink(b)
	if errX == nil || errY == nil {
		return errX == nil && errY == nil && x == y
	}
	if SameFile(a, b) {
		return true
	}
	p, errP := sum(a)
	q, errQ := sum(b)
	return errP == nil && errQ == nil && p == q
}

// sum is the checksum of a file, read in parts: the DaemonSet's container has little memory.
func sum(path string) (digest [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return digest, err
	}
	defer f.Close() // read-only, nothing to lose
	h := sha256.New()
	_, err = io.Copy(h, f)
	return [sha256.Size]byte(h.Sum(nil)), err
}

// SameFile says whether both paths lead to one file or directory that exists.
func SameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}
