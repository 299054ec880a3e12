// Package kernel tells which Linux this is.
package kernel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Version is a release as kernel.org numbers it; the zero Version is unknown.
type Version [3]int

// Oldest is the oldest line that tests run on: test/README.md says which.
var Oldest = Version{5, 10}

// Running is the version of the running kernel.
func Running() Version {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return Version{}
	}
	return parse(unix.ByteSliceToString(name.Release[:]), unix.ByteSliceToString(name.Version[:]))
}

// parse reads uname's release. Debian's says 0 for the last number, and has it in uname's version.
func parse(release, version string) (v Version) {
	if _, debian, ok := strings.Cut(version, "Debian "); ok {
		release = debian
	}
	for i := range v {
		rest := strings.TrimLeft(release, "0123456789")
		v[i], _ = strconv.Atoi(release[:len(release)-len(rest)]) // "" is 0
		if !strings.HasPrefix(rest, ".") {
			break
		}
		release = rest[1:]
	}
	return v
}

// Before says whether v is older than w.
func (v Version) Before(w Version) bool { return slices.Compare(v[:], w[:]) < 0 }

func (v Version) String() string {
	if v[2] == 0 {
		return fmt.Sprintf("%d.%d", v[0], v[1])
	}
	return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
}

// Old is a sentence about a kernel that is older than those of the tests; "" for others.
func (v Version) Old() string {
	if v == (Version{}) || !v.Before(Oldest) {
		return ""
	}
	return fmt.Sprintf("this is Linux %s, and Bridgeport is tested on %s and newer", v, Oldest)
}
