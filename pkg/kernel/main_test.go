package kernel

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/lab"
	"github.com/vishvananda/netlink"
)

// TestMain moves the tests into namespaces of their own, where it may.
func TestMain(m *testing.M) { lab.MainIfRoot(m.Run) }

var worlds atomic.Int32

// world is a host, which the test's thread is in, and a container.
type world struct {
	*testing.T
	*Session
	cont *lab.Space
}

// inWorld runs fn on a host of its own. fn must not call t.Run, which would start a
// goroutine elsewhere.
func inWorld(t *testing.T, fn func(w world)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	n := worlds.Add(1)
	host, cont := lab.OpenSpace(t, fmt.Sprint("host", n)), lab.OpenSpace(t, fmt.Sprint("cont", n))
	err := host.Do(func() error {
		h, err := Open(cont.NS)
		if err != nil {
			return err
		}
		defer h.Close()
		fn(world{t, h, cont})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// must ends the test at an error of its own making.
func (w world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// link is a link of the host, for tampering.
func (w world) link(name string) netlink.Link {
	w.Helper()
	l, err := netlink.LinkByName(name)
	w.must(err)
	return l
}

// inside runs fn on the container's link, for tampering.
func (w world) inside(name string, fn func(netlink.Link) error) {
	w.Helper()
	w.must(w.cont.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return fn(l)
	}))
}

// add makes the objects, in their order.
func (w world) add(objects ...Object) {
	w.Helper()
	w.must(Plan{Shared: objects}.Add(w.Session))
}

// wantCheck compares what CHECK says; "" is no difference.
func (w world) wantCheck(o Object, want string) {
	w.Helper()
	got := ""
	if err := (Plan{Shared: []Object{o}}).Check(w.Session); err != nil {
		got = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if got != want {
		w.Errorf("CHECK of %T: got  %q\nwant %q", o, got, want)
	}
}

// tamper is a change by somebody else and what CHECK says of it.
type tamper struct {
	name   string
	change func(w world)
	want   string
}

// checkTampered: each change, on a fresh host, is named. make adds the objects that
// the checked one stands on.
func checkTampered(t *testing.T, o Object, before []Object, tests []tamper) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w world) {
				w.add(append(before, o)...)
				w.wantCheck(o, "")
				tt.change(w)
				w.wantCheck(o, tt.want)
			})
		})
	}
}

// foreignBridge is one that holds no rules.
func (w world) foreignBridge(name string) {
	w.Helper()
	w.must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}))
	w.must(netlink.LinkSetUp(w.link(name)))
}

// owner is the attachment that most tests make.
var owner = Owner{Network: "net", ContainerID: "c1", IfName: "eth0"}
