// Package stage is what the specs of features and delegation stand on: a host, the
// world outside, containers, configurations and plugin calls. It is for ginkgo: what
// should work and does not fails the running spec.
package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/bridgeport-cni/bridgeport/test/lab"
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
	Patience = lab.Slow() * 3 * time.Second
	Haste    = min(lab.Slow(), 3) * 300 * time.Millisecond
)

// Stage is a host with a wire to the outside.
type Stage struct {
	Host, Outside *lab.Space
	Dir           string   // of this spec alone
	Bin           string   // the plugins under test
	Env           []string // beside what a runtime sets
	prefix        string
	boxes         int
}

// Box is a container.
type Box struct {
	*lab.Space
	ID string
}

// stages numbers the stages of this process: names of spaces must be unique.
var stages int

// NewStage makes a stage that ends with the spec.
func NewStage() *Stage {
	ginkgo.GinkgoHelper()
	stages++
	s := &Stage{
		Bin: Ours(), prefix: fmt.Sprintf("f%d", stages), Dir: ginkgo.GinkgoT().TempDir(),
	}
	s.Host, s.Outside = s.Space("host"), s.Space("out")
	for _, space := range []*lab.Space{s.Host, s.Outside} {
		// The kernel finishes each link-local address after 1-2 s of duplicate address
		// detection, and only then adds its route: no state would be comparable.
		gomega.Expect(space.SetSysctl("net/ipv6/conf/default/accept_dad", "0")).To(gomega.Succeed())
	}
	gomega.Expect(lab.Wire(
		s.Host, "uplink", HostV4+"/24,"+HostV6+"/64",
		s.Outside, "eth0", OutsideV4+"/24,"+OutsideV6+"/64",
	)).To(gomega.Succeed())
	for _, far := range []string{FarV4 + "/32", FarV6 + "/128"} {
		Change(s.Outside, "lo", func(l netlink.Link) error { return netlink.AddrAdd(l, ParseAddr(far)) })
	}
	gomega.Expect(s.Host.Route(FarV4+"/32", OutsideV4)).To(gomega.Succeed())
	gomega.Expect(s.Host.Route(FarV6+"/128", OutsideV6)).To(gomega.Succeed())
	return s
}

// BridgeNetfilter sets whether bridged packets pass the host's rules ("1") or not.
func (s *Stage) BridgeNetfilter(value string) {
	ginkgo.GinkgoHelper()
	for _, family := range []string{"iptables", "ip6tables"} {
		key := "net/bridge/bridge-nf-call-" + family
		if _, err := s.Host.Sysctl(key); err != nil {
			gomega.Expect(err).To(gomega.MatchError(os.ErrNotExist))
			if value == "1" {
				Missing("br_netfilter")
			}
			continue
		}
		gomega.Expect(s.Host.SetSysctl(key, value)).To(gomega.Succeed())
	}
}

// Space makes one more namespace, of the spec's own.
func (s *Stage) Space(name string) *lab.Space {
	ginkgo.GinkgoHelper()
	space, err := lab.NewSpace(s.prefix + name)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(space.Close)
	return space
}

// Container makes an empty one; nothing is attached yet.
func (s *Stage) Container() *Box {
	ginkgo.GinkgoHelper()
	s.boxes++
	id := fmt.Sprintf("c%d", s.boxes)
	return &Box{Space: s.Space(id), ID: s.prefix + "-" + id}
}

// Data is the dataDir that the configurations name.
func (s *Stage) Data() string { return filepath.Join(s.Dir, "leases") }

// Lease is the path of a lease file.
func (s *Stage) Lease(addr string) string { return filepath.Join(s.Data(), NetworkName, addr) }

// Network is plugins as a list behind libcni.
func (s *Stage) Network(list []byte) *lab.Network {
	ginkgo.GinkgoHelper()
	n, err := s.Host.Network(list, s.Bin, filepath.Join(s.Dir, "cache"))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return n
}

// Snap is the state of the host and of the leases, less what is kept by design.
func (s *Stage) Snap() snapshot.Snapshot {
	ginkgo.GinkgoHelper()
	state, err := snapshot.Take(s.Host.NS, s.Data())
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return state.WithoutKept()
}

// Settled is Snap after what the kernel does on its own has come to rest: a bridge
// gets its link-local address some time after its first port.
func (s *Stage) Settled() snapshot.Snapshot {
	ginkgo.GinkgoHelper()
	last := s.Snap()
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		time.Sleep(120 * time.Millisecond)
		now := s.Snap()
		if len(snapshot.Diff(last, now)) == 0 {
			return now
		}
		last = now
	}
	ginkgo.Fail("the host does not come to rest")
	return nil
}

// ExpectEqual wants the host back in the state before. What was left stays left, so
// waiting a little for the kernel (a dead namespace takes its links along later)
// hides nothing.
func (s *Stage) ExpectEqual(before snapshot.Snapshot) {
	ginkgo.GinkgoHelper()
	gomega.Eventually(func() string {
		return strings.Join(snapshot.Diff(before, s.Snap()), "\n")
	}).WithTimeout(Patience).WithPolling(50*time.Millisecond).Should(gomega.BeEmpty(), "left behind, or lost")
}
