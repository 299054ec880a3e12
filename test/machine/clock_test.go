package machine

import (
	"fmt"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// jumps are what a verb takes the time to be, from what the kernel says.
var jumps = []time.Duration{0, 10 * 366 * 24 * time.Hour, -10 * 366 * 24 * time.Hour}

// TestClock lets the clock jump between verbs, forwards and backwards. Addresses are chosen by
// round-robin, with their rest after a release: nobody gets one that somebody has, an address that
// was released just now rests unless the clock says that it has rested, and nothing is left.
func TestClock(t *testing.T) {
	t.Parallel()
	r := newRoom(t, networks[0])
	for _, first := range jumps {
		for _, second := range jumps {
			r.jump(first, second)
		}
	}
}

// jump runs ADD and CHECK at one time, DEL and the next ADD at another, and the last DEL now.
func (r *room) jump(first, second time.Duration) {
	r.Helper()
	where := fmt.Sprint(first, ", then ", second)
	result := r.at(where, "ADD", first, nil)
	r.at(where, "CHECK", second, result)
	r.at(where, "STATUS", second, result)
	r.at(where, "GC", second, nil)
	r.Must(r.differs(r.before))
	again := r.at(where, "ADD", second, nil)
	if a, b := taken(r, result), taken(r, again); second == 0 && a == b {
		r.t.Errorf("%s: %s was released just now, and is leased again", where, a)
	}
	r.at(where, "DEL", first, again)
	r.Must(r.differs(r.before))
	r.calm(r.call("CHECK", 0, r.next, 1, r.nexts))
}

// taken is the address of a result, which must not be the neighbour's.
func taken(r *room, result []byte) string {
	r.Helper()
	addr := stage.AnswerOf("ADD", 0, result, nil).Result.IPs[0].Address.IP.String()
	if addr == address(4, 1) {
		r.t.Errorf("%s belongs to the neighbour", addr)
	}
	return addr
}

// at runs a verb of each plugin while it takes the time to be another.
func (r *room) at(where, verb string, jump time.Duration, previous []byte) []byte {
	r.Helper()
	last := len(r.net.plugins) - 1
	for i := range r.net.plugins {
		if verb == "DEL" {
			i = last - i
		}
		c := r.call(verb, i, r.box, 2, previous)
		c.Config = unchosen(c.Config)
		answer, _, err := r.traced(c, trace.Run{Clock: jump})
		r.Must(err)
		if answer.Exit != 0 {
			r.Fatal(where, ": ", r.net.plugins[i].Plugin(), " ", verb, ": ", string(answer.Stdout), string(answer.Stderr))
		}
		if verb == "ADD" {
			previous = answer.Stdout
		}
	}
	return previous
}
