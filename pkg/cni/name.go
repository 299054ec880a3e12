package cni

import "strings"

// Is says whether a file's name, as a configuration has it in "type", is a plugin's: its own
// name, or one that ends in it after a dash. BuildKit calls buildkit-cni-bridge, OpenShift
// cnv-bridge.
func Is(name, plugin string) bool {
	return name == plugin || strings.HasSuffix(name, "-"+plugin)
}
