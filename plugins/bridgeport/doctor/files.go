package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/containernetworking/cni/pkg/version"
)

func fileChecks() []Check {
	return []Check{
		{
			"conf-broken", "configuration files can be read", Fail,
			"the runtime skips the file, or reports the node as not ready",
			confBroken,
		},
		{
			"conf-shadow", "no configuration hides another", Warn,
			"a runtime takes the first file by name: what stands in the others has no effect",
			confShadow,
		},
		{
			"cni-version", "configurations name a version that is known", Fail,
			"every call for this network fails with code 1",
			confVersion,
		},
		{
			"plugin-missing", "all plugins that configurations name are installed", Fail,
			"every ADD for this network fails: failed to find plugin",
			pluginMissing,
		},
		{
			"plugin-mixed", "the plugins are from one set", Warn,
			"Bridgeport's and another implementation's plugins work on the same leases and rules, each with ways of its own",
			pluginMixed,
		},
		{
			"plugin-version", "plugins are as new as this command", Warn,
			"this command judges by rules that the plugins may not follow",
			pluginVersion,
		},
	}
}

func confBroken(p *Patient) []symptom {
	var list []symptom
	for _, n := range p.Node.Networks {
		if n.Bad != nil {
			list = append(list, one("bridgeport lint "+n.File, "%s: %v", n.File, n.Bad)...)
		}
	}
	return list
}

func confShadow(p *Patient) []symptom {
	var files []string
	byName := make(map[string]string)
	var list []symptom
	for _, n := range p.Node.Networks {
		if n.Bad != nil {
			continue
		}
		if first := byName[n.Name]; first != "" {
			list = append(list, one("rename the network, or mv "+n.File+" "+n.File+".off", "%s and %s both name network %s", first, n.File, n.Name)...)
		} else {
			byName[n.Name] = n.File
		}
		files = append(files, n.File)
	}
	if len(files) > 1 && len(list) == 0 && p.kubernetes() {
		list = one("mv "+files[1]+" "+files[1]+".off", "Kubernetes' runtimes use %s alone; also there: %s", files[0], strings.Join(files[1:], ", "))
	}
	return list
}

// kubernetes says whether attachments are pods: then the runtime uses one network.
func (p *Patient) kubernetes() bool {
	for _, a := range p.List {
		if a.Pod != "" {
			return true
		}
	}
	return false
}

func confVersion(p *Patient) []symptom {
	var list []symptom
	for _, n := range p.Node.Networks {
		if n.Bad == nil && n.CNIVersion != "" && !slices.Contains(version.All.SupportedVersions(), n.CNIVersion) {
			list = append(list, one("set \"cniVersion\": \"1.1.0\" in "+n.File, "%s: cniVersion %q is none of %s", n.File, n.CNIVersion, strings.Join(version.All.SupportedVersions(), ", "))...)
		}
	}
	return list
}

// types are the plugins that configurations name, each with the first file.
func (p *Patient) types() map[string]string {
	found := make(map[string]string)
	for _, n := range p.Node.Networks {
		for _, plugin := range n.Plugins {
			for _, name := range []string{plugin.Type, plugin.IPAM.Type} {
				if name != "" && found[name] == "" {
					found[name] = n.File
				}
			}
		}
	}
	return found
}

func pluginMissing(p *Patient) []symptom {
	var list []symptom
	for name, file := range p.types() {
		path := filepath.Join(p.Place.Bin, name)
		if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
			list = append(list, one("bridgeport install --bin-dir "+p.Place.Bin, "%s needs %s, which is missing or not executable", file, path)...)
		}
	}
	slices.SortFunc(list, func(a, b symptom) int { return strings.Compare(a.evidence, b.evidence) })
	return list
}

// maker is "bridgeport" and the version, or the first line of what the plugin says.
func (p *Patient) maker(name string) (maker, version string) {
	words := strings.Fields(node.PluginVersion(filepath.Join(p.Place.Bin, name)))
	if len(words) > 3 && words[0] == "bridgeport" {
		return words[0], words[3]
	}
	return strings.Join(words, " "), ""
}

// ours are the plugins that Bridgeport makes and somebody installed.
func (p *Patient) installed() []string {
	return slices.DeleteFunc([]string{"bridge", "host-local", "portmap"}, func(name string) bool {
		_, err := os.Stat(filepath.Join(p.Place.Bin, name))
		return err != nil
	})
}

func pluginMixed(p *Patient) []symptom {
	var mine, others []string
	for _, name := range p.installed() {
		if maker, _ := p.maker(name); maker == "bridgeport" {
			mine = append(mine, name)
		} else {
			others = append(others, fmt.Sprintf("%s (%s)", name, or(maker, "says nothing")))
		}
	}
	if len(mine) == 0 || len(others) == 0 {
		return nil
	}
	return one("bridgeport install --bin-dir "+p.Place.Bin, "in %s are Bridgeport's %s, and others' %s", p.Place.Bin, strings.Join(mine, ", "), strings.Join(others, ", "))
}

func pluginVersion(p *Patient) []symptom {
	var list []symptom
	for _, name := range p.installed() {
		if maker, version := p.maker(name); maker == "bridgeport" && version != cni.Version {
			list = append(list, one("bridgeport install --bin-dir "+p.Place.Bin, "%s is version %s, this command is %s", filepath.Join(p.Place.Bin, name), version, cni.Version)...)
		}
	}
	return list
}
