// Package setup puts plugins and configurations in place, so that a running node never
// sees half of one.
package setup

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/bridgeport-cni/bridgeport/pkg/plainfile"
)

// WriteFile writes a file, and makes its directory where that is missing. Nobody sees half
// of it.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return plainfile.Replace(path, bytes.NewReader(data), mode)
}

// copyFile is WriteFile with another file's content, in a directory that exists.
func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return plainfile.Replace(to, in, mode)
}
