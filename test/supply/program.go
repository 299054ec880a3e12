// Package supply looks at what the programs are made of beside our own code: modules, their
// licences, their number and size, and whether the lists that a release ships are true.
package supply

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// Std is the name under which Go's own packages are counted and listed.
const Std = "std"

// Program is a built program, and the packages that it was linked with.
type Program struct {
	Name     string
	Size     int64
	Info     *debug.BuildInfo
	Packages []Package
}

// Package is one package of a program.
type Package struct {
	ImportPath, Dir string
	Standard        bool
	Module          *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// Of is the module that the package belongs to, and where it lies.
func (p Package) Of() (module, dir string) {
	if p.Standard || p.Module == nil {
		return Std, p.Dir
	}
	return p.Module.Path, p.Module.Dir
}

// Own says whether the package is our own.
func (p Package) Own() bool { return p.Module != nil && p.Module.Main }

// Read reads what the linker noted in a program, and asks Go for the packages of the source that
// is here. The source's modules must be those of the program.
func Read(path string) (*Program, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: read build information: %w", path, err)
	}
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	p := &Program{Name: filepath.Base(path), Size: stat.Size(), Info: info}
	if p.Packages, err = list(info); err != nil {
		return nil, err
	}
	if a, b := p.linked(), p.sources(); !slices.Equal(a, b) {
		return nil, fmt.Errorf("%s: is linked with %v, the source is with %v: build it anew", path, a, b)
	}
	return p, nil
}

// list asks Go for the packages of a program.
func list(info *debug.BuildInfo) (packages []Package, err error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,Standard,Module", info.Path)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+Setting(info, "GOARCH"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w: %s", info.Path, err, &stderr)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p Package
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("go list %s: %w", info.Path, err)
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// Setting is one of the settings that the program was built with.
func Setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// GoVersion is the release of Go that built the program, without its experiments.
func GoVersion(info *debug.BuildInfo) string {
	version, _, _ := strings.Cut(info.GoVersion, " ")
	version, _, _ = strings.Cut(version, "-X:")
	return version
}

// linked are the modules that the linker noted.
func (p *Program) linked() (list []string) {
	for _, m := range p.Info.Deps {
		list = append(list, m.Path+"@"+m.Version)
	}
	slices.Sort(list)
	return list
}

// sources are the modules of the packages.
func (p *Program) sources() (list []string) {
	for _, pkg := range p.Packages {
		if !pkg.Standard && !pkg.Own() {
			list = append(list, pkg.Module.Path+"@"+pkg.Module.Version)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
