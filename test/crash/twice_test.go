package crash

import (
	"fmt"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
)

// TestTwice kills ADD at one point and the DEL after it at another.
func TestTwice(t *testing.T) {
	t.Parallel()
	for _, n := range swept {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, n)
			choose := random()
			tries := max(3, 40/(every*every))
			for i := range len(r.list()) {
				add, del := act{"ADD", i}, act{"DEL", i}
				adds := len(r.calls(add))
				for range tries {
					r.twice(add, 1+choose.IntN(adds), del, choose.Uint32())
				}
			}
		})
	}
}

// calls are the points of the verb.
func (r *room) calls(a act) []trace.Effect {
	r.t.Helper()
	r.prepare(a)
	out := r.perform(a, trace.Run{})
	r.want(told(out), a.String())
	r.reset(a, out.Stdout)
	return out.Effects
}

func (r *room) twice(add act, i int, del act, any uint32) {
	r.t.Helper()
	r.prepare(add)
	r.perform(add, trace.Run{At: i, Kill: trace.Tree})
	r.previous = nil
	const most = 40
	j := 1 + int(any%most)
	out := r.perform(del, trace.Run{At: j, Kill: trace.Tree})
	points.Add(2)
	where := fmt.Sprintf("ADD of plugin %d killed at %d, DEL at %d (hit: %t)", add.plugin, i, j, out.Hit)
	r.recover(where, recoveryKinds[int(any/most)%len(recoveryKinds)], nil, trace.Tree)
}
