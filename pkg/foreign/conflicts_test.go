package foreign

import (
	"errors"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/bridgeport-cni/bridgeport/test/world/attached"
)

// TestConflicts: ports in our tables are in the way of who publishes by iptables, but
// for the attachment itself, even where a comment is too short for the container's name.
func TestConflicts(t *testing.T) {
	for _, id := range []string{"c1", strings.Repeat("c", 110)} {
		world.InWorld(t, func(w world.World) {
			mine := attached.SomePorts()
			mine.Owner.ContainerID = id
			veth := attached.SomeVeth()
			veth.Owner = mine.Owner
			w.Add(link.Bridge{Name: "br0"}, veth, firewall.Rules{}, mine)
			o := mine.Owner
			w.Must(NoConflicts(o, mine.Ports, true).Add(w.Session))
			o.ContainerID = "c2"
			if err := NoConflicts(o, mine.Ports, true).Add(w.Session); !errors.Is(err, plan.ErrConflict) {
				t.Errorf("%s: another container: %v", id, err)
			}
		})
	}
}
