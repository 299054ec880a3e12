package kernel

import (
	"errors"
	"strings"
	"testing"
)

// TestConflicts: ports in our tables are in the way of who publishes by iptables, but
// for the attachment itself, even where a comment is too short for the container's name.
func TestConflicts(t *testing.T) {
	for _, id := range []string{"c1", strings.Repeat("c", 110)} {
		inWorld(t, func(w world) {
			mine := SomePorts()
			mine.Owner.ContainerID = id
			veth := SomeVeth()
			veth.Owner = mine.Owner
			w.add(Bridge{Name: "br0"}, veth, Rules{}, mine)
			o := mine.Owner
			w.must(NoConflicts(o, mine.Ports, true).Add(w.Session))
			o.ContainerID = "c2"
			if err := NoConflicts(o, mine.Ports, true).Add(w.Session); !errors.Is(err, ErrConflict) {
				t.Errorf("%s: another container: %v", id, err)
			}
		})
	}
}
