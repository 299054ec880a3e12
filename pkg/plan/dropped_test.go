package plan_test

import (
	"errors"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	library "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// queued is an object whose message waits in the queue; failing is one that then fails.
type (
	queued  struct{ world.World }
	failing struct{ plan.Object }
)

func (q queued) Add(s *plan.Session) error {
	s.Host.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE, "late0", false, netlink.LinkInfo("bridge", nil)), "late")
	return nil
}
func (queued) Check(*plan.Session) error  { return nil }
func (queued) Del(*plan.Session) error    { return nil }
func (queued) String() string             { return "late0" }
func (failing) Add(*plan.Session) error   { return errors.New("broken") }
func (failing) Check(*plan.Session) error { return nil }
func (failing) String() string            { return "broken" }

// TestDropped: what waits in the queue when an object fails is never sent.
func TestDropped(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		list := []plan.Object{queued{w}, failing{}}
		for part, p := range map[string]plan.Plan{"shared": {Shared: list}, "own": {Own: list}} {
			if err := p.Add(w.Session); err == nil {
				t.Fatal("no error")
			}
			w.Must(w.Flush())
			if _, err := library.LinkByName("late0"); err == nil {
				t.Errorf("%s: the link was made after the failure", part)
				w.Must(library.LinkDel(w.Link("late0")))
			}
		}
	})
}
