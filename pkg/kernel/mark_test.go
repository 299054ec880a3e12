package kernel

import (
	"strings"
	"testing"
)

// TestMark: a mark counts the elements, so that DEL knows when it has found all.
func TestMark(t *testing.T) {
	long := Owner{strings.Repeat("n", 100), strings.Repeat("c", 100), "eth0", ""}
	for _, o := range []Owner{owner, long} {
		for _, n := range []int{0, 1, 40000} {
			mark := markComment(o, n)
			if len(mark) > 127 || !SameTag(mark, o.Tag()) || wanted(mark) != n+1 {
				t.Errorf("%d: %q of %d bytes means %d", n, mark, len(mark), wanted(mark))
			}
		}
	}
	for _, comment := range []string{"", owner.Tag(), owner.Comment(127), "x y"} {
		if got := wanted(comment); got < 1<<30 {
			t.Errorf("%q: got %d, want no limit", comment, got)
		}
	}
}
