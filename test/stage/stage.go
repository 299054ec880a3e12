// Package stage is the world of all tests: network namespaces that stand for a host, for
// containers and for the world outside, the programs under test, configurations, plugin
// calls, traffic, and looks at the kernel. It needs root. Only Program, Xtables and Strace run
// other programs than the plugins.
//
//	func TestMain(m *testing.M) { stage.Main(m.Run) } // namespaces of the test's own
//
//	func TestPing(t *testing.T) { // or with GinkgoT()
//		s := stage.NewStage(t)
//		box, _ := s.Attach(s.Bridge(stage.SubnetV4))
//		stage.ExpectPing(s.Host, stage.FirstV4)
//		...
//
// A function or method that returns an error leaves it to the caller, and may be called
// by a program that is no test. Any other one fails the test where something does not work.
package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// Addresses of the stage. The outside knows no route to any container.
const (
	HostV4, HostV6       = "203.0.113.2", "2001:db8:f::2"
	OutsideV4, OutsideV6 = "203.0.113.9", "2001:db8:f::9"
	FarV4, FarV6         = "198.51.100.9", "2001:db8:e::9" // the outside's, behind a route
)

// Patience is for answers that come. Haste is for those that must not: it could only
// miss a fault, never invent one, so slow machines stretch it less.
var (
	Patience = Slow() * 3 * time.Second
	Haste    = min(Slow(), 3) * 300 * time.Millisecond
)

// Stage is a host with a wire to the outside.
type Stage struct {
	T
	Host, Outside *Space
	Dir           string        // of this test alone
	Bin           string        // the plugins under test
	Env           []string      // beside what a runtime sets
	Burial        time.Duration // how long the kernel may take to remove what is gone
	prefix        string
	boxes         int
}

// Box is a container.
type Box struct {
	*Space
	ID string
}

// stages numbers the stages of this process: names of spaces must be unique.
var stages atomic.Int64

// Bare is a stage whose host has no wire, and that has no outside. It ends with the test.
func Bare(t T) *Stage {
	t.Helper()
	s := &Stage{
		T: t, Bin: Plugins(t, "bridge", "portmap", "host-local"), Dir: t.TempDir(),
		Burial: Patience, prefix: fmt.Sprintf("s%d", stages.Add(1)),
	}
	s.Host = s.QuietSpace("host")
	return s
}

// NewStage makes a stage that ends with the test.
func NewStage(t T) *Stage {
	t.Helper()
	s := Bare(t)
	s.Outside = s.QuietSpace("out")
	s.Must(errors.Join(
		Wire(s.Host, "uplink", HostV4+"/24,"+HostV6+"/64", s.Outside, "eth0", OutsideV4+"/24,"+OutsideV6+"/64"),
		s.Outside.Address("lo", FarV4+"/32,"+FarV6+"/128"),
		s.Host.Route(FarV4+"/32", OutsideV4), s.Host.Route(FarV6+"/128", OutsideV6),
	))
	return s
}

// Must fails the test where there is an error.
func (s *Stage) Must(err error) {
	s.Helper()
	must(s.T, err)
}

// BridgeNetfilter sets whether bridged packets pass the host's rules ("1") or not.
func (s *Stage) BridgeNetfilter(value string) {
	s.Helper()
	for _, family := range []string{"iptables", "ip6tables"} {
		err := s.Host.SetSysctl("net/bridge/bridge-nf-call-"+family, value)
		if !errors.Is(err, os.ErrNotExist) {
			s.Must(err)
		} else if value == "1" {
			Missing(s.T, "br_netfilter")
		}
	}
}

// HasBridgeNetfilter says whether the kernel can pass bridged packets through the host's rules.
func HasBridgeNetfilter(s *Stage) bool {
	_, err := s.Host.Sysctl("net/bridge/bridge-nf-call-iptables")
	return err == nil
}

// Space makes one more namespace, of the test's own.
func (s *Stage) Space(name string) *Space {
	s.Helper()
	return OpenSpace(s.T, s.prefix+name)
}

// QuietSpace is a Space whose new links look for no duplicates of their addresses. The
// kernel finishes each link-local address after 1-2 s of that, and only then adds its
// route: no state would be comparable.
func (s *Stage) QuietSpace(name string) *Space {
	s.Helper()
	space := s.Space(name)
	s.Must(space.SetSysctl("net/ipv6/conf/default/accept_dad", "0"))
	return space
}

// Container makes an empty one; nothing is attached yet.
func (s *Stage) Container() *Box {
	s.Helper()
	s.boxes++
	id := fmt.Sprintf("c%d", s.boxes)
	return &Box{Space: s.Space(id), ID: s.prefix + "-" + id}
}

// Data is the dataDir that the configurations name.
func (s *Stage) Data() string { return filepath.Join(s.Dir, "leases") }

// Lease is the path of a lease file.
func (s *Stage) Lease(addr string) string { return filepath.Join(s.Data(), NetworkName, addr) }

// Network is plugins as a list behind libcni.
func (s *Stage) Network(list []byte) *Network {
	s.Helper()
	n, err := s.Host.Network(list, s.Bin, filepath.Join(s.Dir, "cache"))
	s.Must(err)
	return n
}

// State is the state of the host and of the leases, less what is kept by design.
func (s *Stage) State() (snapshot.Snapshot, error) {
	state, err := snapshot.Take(s.Host.NS, s.Data())
	return state.WithoutKept(), err
}

// Snap is State, which must work.
func (s *Stage) Snap() snapshot.Snapshot {
	s.Helper()
	state, err := s.State()
	s.Must(err)
	return state
}

// Settled is State after what the kernel does on its own has come to rest: a bridge
// gets its link-local address some time after its first port.
func (s *Stage) Settled() snapshot.Snapshot {
	s.Helper()
	state, err := snapshot.Rest(3*Patience, s.State)
	s.Must(err)
	return state
}

// ExpectEqual wants the host back in the state before.
func (s *Stage) ExpectEqual(before snapshot.Snapshot) {
	s.Helper()
	s.Must(before.Await(s.Burial, s.State))
}
