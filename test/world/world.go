package world

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

// TestMain moves the tests into namespaces of their own, where it may.
func TestMain(m *testing.M) { stage.MainIfRoot(m.Run) }

var worlds atomic.Int32

// World is a host, which the test's thread is in, and a container.
type World struct {
	*testing.T
	*plan.Session
	Cont *stage.Space
}

// InWorld runs fn on a host of its own. fn must not call t.Run, which would start a
// goroutine elsewhere.
func InWorld(t *testing.T, fn func(w World)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	n := worlds.Add(1)
	host, cont := stage.OpenSpace(t, fmt.Sprint("host", n)), stage.OpenSpace(t, fmt.Sprint("cont", n))
	err := host.Do(func() error {
		h, err := plan.Open(cont.NS)
		if err != nil {
			return err
		}
		defer h.Close()
		fn(World{t, h, cont})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Must ends the test at an error of its own making.
func (w World) Must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// Link is a link of the host, for tampering.
func (w World) Link(name string) netlink.Link {
	w.Helper()
	l, err := netlink.LinkByName(name)
	w.Must(err)
	return l
}

// Inside runs fn on the container's link, for tampering.
func (w World) Inside(name string, fn func(netlink.Link) error) {
	w.Helper()
	stage.Change(w.Cont, name, fn)
}

// Add makes the objects, in their order.
func (w World) Add(objects ...plan.Object) {
	w.Helper()
	w.Must(plan.Plan{Shared: objects}.Add(w.Session))
}

// WantCheck compares what CHECK says; "" is no difference.
func (w World) WantCheck(o plan.Object, want string) {
	w.Helper()
	got := ""
	if err := (plan.Plan{Shared: []plan.Object{o}}).Check(w.Session); err != nil {
		got = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if got != want {
		w.Errorf("CHECK of %T: got  %q\nwant %q", o, got, want)
	}
}

// Tamper is a change by somebody else and what CHECK says of it.
type Tamper struct {
	Name   string
	Change func(w World)
	Want   string
}

// CheckTampered: each change, on a fresh host, is named. make adds the objects that
// the checked one stands on.
func CheckTampered(t *testing.T, o plan.Object, before []plan.Object, tests []Tamper) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.Name, func(t *testing.T) {
			InWorld(t, func(w World) {
				w.Add(append(before, o)...)
				w.WantCheck(o, "")
				tt.Change(w)
				w.WantCheck(o, tt.Want)
			})
		})
	}
}

// ForeignBridge is one that holds no rules.
func (w World) ForeignBridge(name string) {
	w.Helper()
	w.Must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}))
	w.Must(netlink.LinkSetUp(w.Link(name)))
}

// Owner is the attachment that most tests make.
var Owner = plan.Owner{Network: "net", ContainerID: "c1", IfName: "eth0"}

// SetMAC gives a link of the host another address, as a person would.
func (w World) SetMAC(name string, mac net.HardwareAddr) {
	w.Helper()
	w.Must(netlink.LinkSetHardwareAddr(w.Link(name), mac))
}
