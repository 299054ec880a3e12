package doctor

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/install"
	"github.com/bridgeport-cni/bridgeport/pkg/shell"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/containernetworking/cni/pkg/version"
	"golang.org/x/sys/unix"
)

var fileChecks = []Check{
	fails("conf-broken", "configuration files can be read",
		"the runtime skips the file, or reports the node as not ready", each(files, func(p *Patient, n node.Network) {
			if n.Bad != nil {
				p.tell("bridgeport lint "+n.File, "%s: %v", n.File, n.Bad)
			}
		})),
	warns("cache-broken", "libcni's cache can be read",
		"CHECK and DEL of that container may fail, and repair can't mend it", func(p *Patient) {
			for _, c := range p.Broken {
				p.tell("bridgeport gc --grace 0s   # then replace the container: its runtime has forgotten it", "%s: %v", c.File, c.Why)
			}
		}),
	warns("conf-shadow", "no configuration hides another",
		"a runtime takes the first file by name: what stands in the others has no effect", confShadow),
	fails("cni-version", "configurations name a version that is known",
		"every call for this network fails with code 1", each(files, func(p *Patient, n node.Network) {
			if known := version.All.SupportedVersions(); n.Bad == nil && n.CNIVersion != "" && !slices.Contains(known, n.CNIVersion) {
				p.tell("set \"cniVersion\": \"1.1.0\" in "+n.File, "%s: cniVersion %q is none of %s", n.File, n.CNIVersion, strings.Join(known, ", "))
			}
		})),
	fails("plugin-missing", "all plugins that configurations name are installed",
		"every ADD for this network fails: failed to find plugin", pluginMissing),
	warns("plugin-mixed", "the plugins are from one set",
		"Bridgeport's and another implementation's plugins work on the same leases and rules, each with ways of its own", pluginMixed),
	warns("plugin-version", "plugins are as new as this command",
		"this command judges by rules that the plugins may not follow", each((*Patient).installed, func(p *Patient, path string) {
			if maker, version := maker(path); maker == "bridgeport" && version != cni.Version {
				p.tell("bridgeport install --bin-dir "+p.Place.Bin, "%s is version %s, this command is %s", path, version, cni.Version)
			}
		})),
}

func files(p *Patient) []node.Network { return p.Node.Networks }

func confShadow(p *Patient) {
	var files []string
	byName := make(map[string]string)
	for _, n := range p.Node.Networks {
		if n.Bad != nil {
			continue
		}
		if first := byName[n.Name]; first != "" {
			p.tell("mv "+n.File+" "+n.File+".off   # or rename the network", "%s and %s both name network %s", first, n.File, n.Name)
		} else {
			byName[n.Name] = n.File
		}
		files = append(files, n.File)
	}
	// Where attachments are pods the runtime uses one network.
	if len(files) > 1 && len(p.seen) == 0 && slices.ContainsFunc(p.List, func(a *attachment.Attachment) bool { return a.Pod != "" }) {
		p.tell("mv "+files[1]+" "+files[1]+".off", "Kubernetes' runtimes use %s alone; also there: %s", files[0], strings.Join(files[1:], ", "))
	}
}

func pluginMissing(p *Patient) {
	seen := map[string]bool{"": true}
	for _, n := range p.Node.Networks {
		for _, plugin := range n.Plugins {
			for _, name := range []string{plugin.Type, plugin.IPAM.Type} {
				path := filepath.Join(p.Place.Bin, name)
				info, err := os.Stat(path)
				if !seen[name] && (err != nil || info.Mode()&0o111 == 0) {
					seen[name] = true
					p.tell(p.installing(name, err == nil), "%s needs %s, which is missing or not executable", n.File, path)
				}
			}
		}
	}
}

// installing is how the plugin gets there.
func (p *Patient) installing(name string, present bool) string {
	switch {
	case present:
		return "chmod 755 " + filepath.Join(p.Place.Bin, name)
	case slices.Contains(install.Names, name):
		return "bridgeport install --bin-dir " + p.Place.Bin
	}
	return fmt.Sprintf("install %s into %s: it is not one of Bridgeport's; github.com/containernetworking/plugins has the usual ones", name, p.Place.Bin)
}

// maker is "bridgeport" and the version, or the first line of what the plugin says.
func maker(path string) (maker, version string) {
	words := strings.Fields(install.Version(path))
	if len(words) > 3 && words[0] == "bridgeport" {
		return words[0], words[3]
	}
	return strings.Join(words, " "), ""
}

// installed are the files of the plugins that Bridgeport makes and somebody installed.
func (p *Patient) installed() (paths []string) {
	for _, name := range []string{"bridge", "host-local", "portmap"} {
		path := filepath.Join(p.Place.Bin, name)
		if _, err := os.Stat(path); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

func pluginMixed(p *Patient) {
	var mine, others []string
	for _, path := range p.installed() {
		if maker, _ := maker(path); maker == "bridgeport" {
			mine = append(mine, filepath.Base(path))
		} else {
			others = append(others, fmt.Sprintf("%s (%s)", filepath.Base(path), cmp.Or(maker, "says nothing")))
		}
	}
	if len(mine) > 0 && len(others) > 0 {
		p.tell("bridgeport install --bin-dir "+p.Place.Bin,
			"in %s are Bridgeport's %s, and others' %s", p.Place.Bin, strings.Join(mine, ", "), strings.Join(others, ", "))
	}
}

var leaseChecks = []Check{
	warns("pool-full", "pools have free addresses",
		"soon no more containers can start: ADD fails with code 102", each(networks, func(p *Patient, w attachment.Network) {
			for _, pool := range w.Pools {
				if pool.Full() >= 0.9 {
					p.tell("bridgeport gc; then give the network a larger or a second range",
						"network %s: %s addresses of %s are leased", w.Name, pool, pool.Range)
				}
			}
		})),
	warns("lease-dead", "leases belong to attachments that live", "the pool shrinks with each of them until no container can start",
		orphans("lease", func(a *attachment.Attachment) int { return len(a.Leases) })),
	fails("lease-missing", "living attachments have their leases",
		"the address will be given to another container while this one still uses it", drifted),
	warns("lease-empty", "lease files have content",
		"the reference's host-local never gives such an address out again: a crash left the file empty",
		each(leases, func(p *Patient, l node.Lease) {
			if l.Owner.ContainerID == "" {
				p.tell("rm "+shell.Quote(l.Path())+"   # or bridgeport gc", "%s is no lease", l.Path())
			}
		})),
	warns("lease-clock", "leases are not from the future",
		"the clock was set back: ages are wrong, and gc can't tell new leases from old ones",
		each(leases, func(p *Patient, l node.Lease) {
			if ahead := time.Until(l.Time); ahead > time.Minute {
				p.tell("touch "+shell.Quote(l.Path())+"   # once the clock is right: timedatectl",
					"%s is %s ahead of the clock", l.Path(), ahead.Round(time.Minute))
			}
		})),
	fails("lease-writable", "leases can be written", "every ADD fails, and no DEL gives an address back", each(dataDirs, writable)),
}

func leases(p *Patient) []node.Lease { return p.Leases }

func dataDirs(p *Patient) (dirs []string) {
	for _, w := range p.Networks {
		dirs = append(dirs, w.DataDir)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func writable(p *Patient, dir string) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return // no container yet
	}
	switch info, err := os.Stat(dir); {
	case err != nil || !info.IsDir():
		p.tell("make it a directory", "%s is no directory", dir)
	case fs.Flags&unix.ST_RDONLY != 0:
		p.tell(fmt.Sprintf("mount -o remount,rw $(findmnt -no TARGET --target %s)", dir), "%s is on a file system that is mounted read-only", dir)
	case fs.Bavail == 0 || fs.Files > 0 && fs.Ffree == 0:
		p.tell(fmt.Sprintf("df -h %s; df -i %s; make room", dir, dir),
			"%s is on a full file system: %d blocks and %d inodes are free", dir, fs.Bavail, fs.Ffree)
	}
}
