package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// archive is a layer of an image, or a part of it, as it is written. The same files give the
// same bytes. The first error stays.
type archive struct {
	file *os.File
	w    *tar.Writer
	err  error
}

func newArchive(path string) *archive {
	a := &archive{}
	if a.file, a.err = os.Create(path); a.err == nil {
		a.w = tar.NewWriter(a.file)
	}
	return a
}

func (a *archive) close() error {
	if a.file == nil {
		return a.err
	}
	if a.err == nil {
		a.err = a.w.Close()
	}
	return errors.Join(a.err, a.file.Close())
}

func (a *archive) put(header *tar.Header, content io.Reader) {
	if a.err != nil {
		return
	}
	header.ModTime, header.Format = time.Unix(0, 0), tar.FormatUSTAR
	if a.err = a.w.WriteHeader(header); a.err == nil && content != nil {
		_, a.err = io.Copy(a.w, content)
	}
}

// text is a file of the test's own, link one that leads elsewhere, dir an empty directory.
func (a *archive) text(path, content string) {
	a.put(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(content))}, strings.NewReader(content))
}

func (a *archive) link(path, to string) {
	a.put(&tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: to, Mode: 0o777}, nil)
}

func (a *archive) dir(path string) {
	a.put(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: 0o755}, nil)
}

// copy puts a file of the machine into the archive.
func (a *archive) copy(path, from string, mode int64) {
	a.reading(from, func(f *os.File) error {
		info, err := f.Stat()
		if err == nil {
			a.put(&tar.Header{Name: path, Mode: mode, Size: info.Size()}, f)
		}
		return err
	})
}

// reading opens a file for fn, unless something has failed before.
func (a *archive) reading(from string, fn func(*os.File) error) {
	if a.err != nil {
		return
	}
	f, err := os.Open(from)
	if err == nil {
		defer f.Close()
		err = fn(f)
	}
	if a.err == nil {
		a.err = err
	}
}

// tree puts a directory's files below a path. mode is each file's.
func (a *archive) tree(below, dir string, mode func(path string) int64) {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		at := filepath.Join(below, strings.TrimPrefix(path, dir))
		a.copy(strings.TrimPrefix(at, "/"), path, mode(at))
		return a.err
	})
	if a.err == nil {
		a.err = err
	}
}

// part copies what is wanted of another archive, with its rights and links.
func (a *archive) part(from string, wanted func(path string) bool) {
	a.reading(from, func(f *os.File) error {
		for r := tar.NewReader(f); a.err == nil; {
			header, err := r.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if path := strings.TrimPrefix(header.Name, "./"); wanted(strings.TrimSuffix(path, "/")) {
				header.PAXRecords, header.Uname, header.Gname = nil, "", ""
				a.put(header, r)
			}
		}
		return nil
	})
}
