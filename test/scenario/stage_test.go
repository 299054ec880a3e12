package scenario_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/bridgeport-cni/bridgeport/test/lab"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// Addresses of the stage. The outside knows no route to any container.
const (
	hostV4, hostV6       = "203.0.113.2", "2001:db8:f::2"
	otherV4, otherV6     = "203.0.113.3", "2001:db8:f::3" // the host's as well
	outsideV4, outsideV6 = "203.0.113.9", "2001:db8:f::9"
)

// acceptDAD is what new links of a space do about duplicate addresses.
const acceptDAD = "net/ipv6/conf/default/accept_dad"

// stage is a host with a wire to the outside world.
type stage struct {
	host, outside *lab.Space
	dir           string // of this spec alone
	prefix        string
	boxes         int
}

// box is a container.
type box struct {
	*lab.Space
	id string
}

// stages numbers the stages of this process: names of spaces must be unique.
var stages int

// newStage makes a stage that ends with the spec.
func newStage() *stage {
	GinkgoHelper()
	stages++
	s := &stage{prefix: fmt.Sprintf("s%d", stages), dir: GinkgoT().TempDir()}
	s.host, s.outside = s.space("host"), s.space("out")
	for _, space := range []*lab.Space{s.host, s.outside} {
		// The kernel finishes each link-local address after 1-2 s of duplicate address
		// detection, and only then adds its route: no state would be comparable.
		Expect(space.SetSysctl(acceptDAD, "0")).To(Succeed())
	}
	Expect(lab.Wire(
		s.host, "uplink", hostV4+"/24,"+otherV4+"/24,"+hostV6+"/64,"+otherV6+"/64",
		s.outside, "eth0", outsideV4+"/24,"+outsideV6+"/64",
	)).To(Succeed())
	return s
}

func (s *stage) space(name string) *lab.Space {
	GinkgoHelper()
	space, err := lab.NewSpace(s.prefix + name)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(space.Close)
	return space
}

// container makes an empty one; nothing is attached yet.
func (s *stage) container() *box {
	GinkgoHelper()
	s.boxes++
	id := fmt.Sprintf("c%d", s.boxes)
	return &box{Space: s.space(id), id: s.prefix + "-" + id}
}

// data is the dataDir that the configurations name.
func (s *stage) data() string { return filepath.Join(s.dir, "leases") }

// lease is the path of a lease file.
func (s *stage) lease(addr string) string { return filepath.Join(s.data(), networkName, addr) }

// network is the plugins as a list behind libcni.
func (s *stage) network(list []byte) *lab.Network {
	GinkgoHelper()
	n, err := s.host.Network(list, bin, filepath.Join(s.dir, "cache"))
	Expect(err).NotTo(HaveOccurred())
	return n
}

// add attaches the container as eth0 and wants it to work.
func (b *box) add(n *lab.Network, ports ...map[string]any) *types100.Result {
	GinkgoHelper()
	result, err := n.Add(b.id, b.Path, "eth0", ports)
	Expect(err).NotTo(HaveOccurred())
	return result
}

func (b *box) del(n *lab.Network, ports ...map[string]any) {
	GinkgoHelper()
	Expect(n.Del(b.id, b.Path, "eth0", ports)).To(Succeed())
}

// snap is the state of the host and of the leases, less what is kept by design.
func (s *stage) snap() snapshot.Snapshot {
	GinkgoHelper()
	state, err := snapshot.Take(s.host.NS, s.data())
	Expect(err).NotTo(HaveOccurred())
	return state.WithoutKept()
}

// settled is snap after what the kernel does on its own has come to rest: a bridge
// gets its link-local address some time after its first port.
func (s *stage) settled() snapshot.Snapshot {
	GinkgoHelper()
	last := s.snap()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		time.Sleep(150 * time.Millisecond)
		now := s.snap()
		if len(snapshot.Diff(last, now)) == 0 {
			return now
		}
		last = now
	}
	Fail("the host does not come to rest")
	return nil
}

// expectEqual wants the host back in the state before. What was left stays left, so
// waiting a little for the kernel (a dead namespace takes its links along later)
// hides nothing.
func (s *stage) expectEqual(before snapshot.Snapshot) {
	GinkgoHelper()
	Eventually(func() string {
		return strings.Join(snapshot.Diff(before, s.snap()), "\n")
	}).WithTimeout(3*time.Second).WithPolling(50*time.Millisecond).Should(BeEmpty(), "left behind, or lost")
}

// warm attaches and detaches a container, so that the shared objects (bridge, nft
// table, sysctls) exist afterwards, and returns the state at rest.
func (s *stage) warm(n *lab.Network, ports ...map[string]any) snapshot.Snapshot {
	GinkgoHelper()
	b := s.container()
	b.add(n, ports...)
	s.settled()
	b.del(n, ports...)
	return s.settled()
}

// read is a file's content.
func read(path string) string {
	GinkgoHelper()
	text, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}
