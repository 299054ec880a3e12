package node

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/install"
)

// PluginDir is the first directory that has our plugins, seen from that of the command: beside
// it (an archive, /opt/cni/bin, bin of a checkout), where the packages have them, bin below it
// (`go build` in a checkout), then where runtimes look. Never the working directory: what is
// found is executed, as root.
func PluginDir(command string) (string, error) {
	return firstWithOurs(command, filepath.Join(command, "../lib/bridgeport"), filepath.Join(command, "bin"), "/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
}

// firstWithOurs is the absolute path of the first directory where each plugin says that it is ours.
func firstWithOurs(dirs ...string) (string, error) {
	for _, dir := range dirs {
		if ours(dir) {
			return filepath.Abs(dir)
		}
	}
	return "", fmt.Errorf("plugins: not found in %s: give the directory that has %s", strings.Join(dirs, ", "), strings.Join(plugins, ", "))
}

// plugins are the names of a set without the command.
var plugins = install.Names[:len(install.Names)-1]

// ours says whether the whole set in a directory is Bridgeport's: the reference's has the same names.
func ours(dir string) bool {
	return !slices.ContainsFunc(plugins, func(name string) bool { return !install.Ours(filepath.Join(dir, name)) })
}
