package firewall

import (
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
)

// TestMark: a mark counts the elements, so that DEL knows when it has found all.
func TestMark(t *testing.T) {
	long := plan.Owner{Network: strings.Repeat("n", 100), ContainerID: strings.Repeat("c", 100), IfName: "eth0", Pod: ""}
	for _, o := range []plan.Owner{world.Owner, long} {
		for _, n := range []int{0, 1, 40000} {
			mark := markComment(o, n)
			if len(mark) > 127 || !label.Same(mark, o.Tag()) || wanted(mark) != n+1 {
				t.Errorf("%d: %q of %d bytes means %d", n, mark, len(mark), wanted(mark))
			}
		}
	}
	for _, comment := range []string{"", world.Owner.Tag(), world.Owner.Comment(127), "x y"} {
		if got := wanted(comment); got < 1<<30 {
			t.Errorf("%q: got %d, want no limit", comment, got)
		}
	}
}
