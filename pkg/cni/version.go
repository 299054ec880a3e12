package cni

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// unset is what nobody said.
const unset = "unknown"

// Version and Commit are set by the linker (see the Makefile). Build knows more where it set none.
var (
	Version = unset
	Commit  = unset
)

// Build is version and commit of this program: the linker's, else what Go noted of the module,
// as in a build by `go install …@v0.1.0`. Only who was asked for them calls it: a plugin that
// starts has no time to read the note.
func Build() (version, commit string) {
	if Version == unset {
		if note, ok := debug.ReadBuildInfo(); ok {
			return noted(note)
		}
	}
	return Version, Commit
}

// noted is what Go's note says: the commit is that of the checkout, or the end of a version such
// as v0.0.0-20260102030405-0123456789ab.
func noted(note *debug.BuildInfo) (version, commit string) {
	if note.Main.Version != "(devel)" {
		version = note.Main.Version
	}
	for _, s := range note.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value[:min(12, len(s.Value))]
		}
	}
	if parts := strings.Split(version, "-"); commit == "" && len(parts) > 2 {
		commit, _, _ = strings.Cut(parts[len(parts)-1], "+")
	}
	return cmp.Or(version, unset), cmp.Or(commit, unset)
}
