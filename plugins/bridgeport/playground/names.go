package playground

import (
	"fmt"
	"regexp"
	"slices"
)

// allowed is what a container may be called: a part of a file's name and of libcni's.
var allowed = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)

// check says whether the containers may be called so. host and outside are the lab's own.
func check(names []string) error {
	for i, n := range names {
		switch {
		case !allowed.MatchString(n):
			return fmt.Errorf("lab: %q is no name for a container: letters and digits, and between them . _ -", n)
		case n == "host", n == "outside":
			return fmt.Errorf("lab: %s is the lab's own: choose another name", n)
		case slices.Contains(names[:i], n):
			return fmt.Errorf("lab: %s stands there twice", n)
		}
	}
	return nil
}
