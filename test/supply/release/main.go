// Command release compares the lists that a release ships with its programs, and these with go.mod
// and go.sum: release VERSION DIRECTORY, in the top level of the source.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/supply"
)

// programs have a list each; the other names are copies.
var programs = []string{"bridge", "bridgeport"}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "release: usage: release VERSION DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(version, dir string) error {
	modules, err := supply.ReadModules(".")
	if err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(archives) == 0 {
		return errors.Join(err, fmt.Errorf("%s: has no archives", dir))
	}
	var wrong []error
	for _, archive := range archives {
		wrong = append(wrong, check(modules, archive, version))
	}
	return errors.Join(wrong...)
}

func check(modules supply.Modules, archive, version string) error {
	files, err := unpack(archive)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	var wrong []error
	say := func(name string, list ...string) {
		for _, w := range list {
			wrong = append(wrong, fmt.Errorf("%s: %s: %s", filepath.Base(archive), name, w))
		}
	}
	for _, name := range programs {
		info, err := buildinfo.Read(bytes.NewReader(files[name]))
		if err != nil {
			say(name, err.Error())
			continue
		}
		say(name, modules.Wrong(info)...)
		text, err := os.ReadFile(archive + "." + name + ".cdx.json")
		var bom supply.BOM
		if err = errors.Join(err, json.Unmarshal(text, &bom)); err != nil {
			say(name, err.Error())
			continue
		}
		say(name, bom.Wrong(info, version, fmt.Sprintf("%x", sha256.Sum256(files[name])))...)
		for _, d := range info.Deps {
			if !bytes.Contains(files["THIRD-PARTY"], []byte("\n== "+d.Path+" "+d.Version+": ")) {
				say("THIRD-PARTY", "lacks "+d.Path+" "+d.Version)
			}
		}
		if len(wrong) == 0 {
			fmt.Printf("%s: %s: %d modules as in its list, in go.mod and in go.sum\n", filepath.Base(archive), name, len(info.Deps))
		}
	}
	for _, name := range []string{"portmap", "host-local", "loopback"} {
		if !bytes.Equal(files[name], files["bridge"]) {
			say(name, "is not the file bridge")
		}
	}
	return errors.Join(wrong...)
}

// unpack reads the files at the archive's top.
func unpack(archive string) (map[string][]byte, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean(h.Name)
		if h.Typeflag != tar.TypeReg || strings.Contains(name, "/") {
			continue
		}
		if files[name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
}
