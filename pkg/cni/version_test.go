package cni

import (
	"runtime/debug"
	"testing"
)

func TestNoted(t *testing.T) {
	for _, c := range []struct{ name, version, revision, want, commit string }{
		{"a tag", "v0.1.0", "", "v0.1.0", "unknown"},
		{"a commit", "v0.0.0-20260102030405-0123456789ab", "", "v0.0.0-20260102030405-0123456789ab", "0123456789ab"},
		{"a commit after a tag", "v0.1.1-0.20260102030405-0123456789ab", "", "v0.1.1-0.20260102030405-0123456789ab", "0123456789ab"},
		{"a changed checkout", "v0.1.1-0.20260102030405-0123456789ab+dirty", "", "v0.1.1-0.20260102030405-0123456789ab+dirty", "0123456789ab"},
		{"a checkout", "v0.1.0", "0123456789abcdef0123456789abcdef01234567", "v0.1.0", "0123456789ab"},
		{"a checkout without a version", "(devel)", "0123", "unknown", "0123"},
		{"a pre-release", "v0.1.0-rc1", "", "v0.1.0-rc1", "unknown"},
		{"nothing", "(devel)", "", "unknown", "unknown"},
		{"an empty note", "", "", "unknown", "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			note := &debug.BuildInfo{Main: debug.Module{Version: c.version}}
			if c.revision != "" {
				note.Settings = []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "vcs.revision", Value: c.revision}}
			}
			if version, commit := noted(note); version != c.want || commit != c.commit {
				t.Errorf("%s, %s; want %s, %s", version, commit, c.want, c.commit)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	version, commit := Version, Commit
	t.Cleanup(func() { Version, Commit = version, commit })
	Version, Commit = "v1.2.3", "0123"
	if v, c := Build(); v != "v1.2.3" || c != "0123" {
		t.Errorf("%s, %s: the linker's come first", v, c)
	}
}
