package supply

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// Modules are what go.mod and go.sum say: for each module its version and the sum of its files.
type Modules map[string]struct{ Version, Sum string }

// ReadModules reads go.mod and go.sum of a folder.
func ReadModules(dir string) (Modules, error) {
	out, err := exec.Command("go", "mod", "edit", "-json", filepath.Join(dir, "go.mod")).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod edit: %w", err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
		Replace []any
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return nil, fmt.Errorf("go.mod: %w", err)
	}
	if len(mod.Replace) > 0 {
		return nil, fmt.Errorf("go.mod: replaces modules: what users build is not what is released")
	}
	text, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return nil, err
	}
	sums := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 {
			sums[f[0]+" "+f[1]] = f[2]
		}
	}
	m := make(Modules)
	for _, r := range mod.Require {
		m[r.Path] = struct{ Version, Sum string }{r.Version, sums[r.Path+" "+r.Version]}
	}
	return m, nil
}

// Wrong is what the linker noted of the modules that is not what go.mod and go.sum say.
func (m Modules) Wrong(info *debug.BuildInfo) (list []string) {
	for _, d := range info.Deps {
		switch said, ok := m[d.Path]; {
		case d.Replace != nil:
			list = append(list, fmt.Sprintf("%s: is replaced by %s", d.Path, d.Replace.Path))
		case !ok:
			list = append(list, fmt.Sprintf("%s: is not in go.mod", d.Path))
		case d.Version != said.Version:
			list = append(list, fmt.Sprintf("%s: is linked as %s, go.mod has %s", d.Path, d.Version, said.Version))
		case d.Sum == "" || d.Sum != said.Sum:
			list = append(list, fmt.Sprintf("%s %s: is linked with sum %q, go.sum has %q", d.Path, d.Version, d.Sum, said.Sum))
		}
	}
	return list
}

// BOM is the part of a CycloneDX list that is compared.
type BOM struct {
	Metadata struct {
		Component  Component
		Properties []struct{ Name, Value string }
	}
	Components []Component
}

// Component is one entry of the list.
type Component struct {
	Name, Version, Purl string
	Hashes              []struct{ Alg, Content string }
}

// hash is the component's SHA-256.
func (c Component) hash() string {
	for _, h := range c.Hashes {
		if h.Alg == "SHA-256" {
			return h.Content
		}
	}
	return ""
}

// Wrong is what the list says of a program that is not so. Version is the release's, sum the SHA-256
// of the program's file.
func (b BOM) Wrong(info *debug.BuildInfo, version, sum string) (list []string) {
	wrong := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if c := b.Metadata.Component; c.Name != info.Main.Path || c.Version != version {
		wrong("the list is of %s %q, the program of %s %q", c.Name, c.Version, info.Main.Path, version)
	}
	of := make(map[string]string)
	for _, p := range b.Metadata.Properties {
		of[p.Name] = p.Value
	}
	if said := of["cdx:gomod:binary:hash:SHA-256"]; said != sum {
		wrong("the list is of a file with SHA-256 %q, the program has %s", said, sum)
	}
	want := map[string]Component{Std: {Version: GoVersion(info)}}
	sums := make(map[string]string)
	for _, d := range info.Deps {
		want[d.Path] = Component{Version: d.Version}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(d.Sum, "h1:"))
		if err != nil {
			wrong("%s: sum %q: %v", d.Path, d.Sum, err)
		}
		sums[d.Path] = hex.EncodeToString(raw)
	}
	for _, c := range b.Components {
		w, ok := want[c.Name]
		switch {
		case !ok:
			wrong("%s: is listed and not linked, or listed twice", c.Name)
		case c.Version != w.Version:
			wrong("%s: is listed as %s and linked as %s", c.Name, c.Version, w.Version)
		case c.hash() != sums[c.Name]:
			wrong("%s: is listed with SHA-256 %q and linked with %q", c.Name, c.hash(), sums[c.Name])
		case !strings.HasPrefix(c.Purl, "pkg:golang/"+c.Name+"@"+c.Version+"?"):
			wrong("%s: has the address %s", c.Name, c.Purl)
		}
		delete(want, c.Name)
	}
	for name := range want {
		wrong("%s: is linked and not listed", name)
	}
	return list
}
