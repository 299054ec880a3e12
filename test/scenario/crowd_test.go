package scenario_test

import (
	"slices"
	"strconv"
	"sync"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/pkg/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// crowd is how many containers come at once: more than the machine has processors,
// so that the plugins meet at every lock.
const crowd = 20

// all runs do for each number at the same time and returns the errors.
func all(do func(i int) error) []error {
	errs := make([]error, crowd)
	var wait sync.WaitGroup
	for i := range crowd {
		wait.Go(func() { errs[i] = do(i) })
	}
	wait.Wait()
	return errs
}

var _ = Describe("twenty containers at once", func() {
	It("get an address and a port each, are reached, and leave nothing", func() {
		s := newStage()
		virgin := s.Settled()
		n := s.Network(list(Newest, bridge(s, SubnetV4, SubnetV6), Portmap()))
		boxes := make([]*Box, crowd)
		ports := make([][]map[string]any, crowd)
		for i := range boxes {
			boxes[i] = s.Container()
			ports[i] = []map[string]any{Port("tcp", 8000+i, 80)}
		}

		By("attaching all, on a host where nothing exists yet")
		addresses := make([]string, crowd)
		Expect(all(func(i int) error {
			result, err := n.Add(boxes[i].ID, boxes[i].Path, "eth0", ports[i])
			if err != nil {
				return err
			}
			addresses[i] = result.IPs[0].Address.IP.String()
			return boxes[i].Usable("eth0")
		})).To(HaveEach(BeNil()))
		owner := make(map[string]int)
		for i, addr := range addresses {
			Expect(owner).NotTo(HaveKey(addr))
			owner[addr] = i
			Expect(Read(GinkgoT(), s.Lease(addr))).To(Equal(boxes[i].ID + "\r\neth0"))
		}

		By("reaching each by its port")
		for _, b := range boxes {
			Serve(b.Space, "tcp", 80)
		}
		for i := range boxes {
			ExpectSeen(s.Outside, "tcp", HostV4, strconv.Itoa(8000+i), OutsideV4)
			ExpectSeen(s.Outside, "tcp", HostV6, strconv.Itoa(8000+i), OutsideV6)
		}

		By("checking all")
		Expect(all(func(i int) error {
			return n.Check(boxes[i].ID, boxes[i].Path, "eth0", ports[i])
		})).To(HaveEach(BeNil()))

		By("detaching all")
		Expect(all(func(i int) error {
			return n.Del(boxes[i].ID, boxes[i].Path, "eth0", ports[i])
		})).To(HaveEach(BeNil()))
		Expect(n.GC([]types.GCAttachment{})).To(Succeed())
		s.ExpectEqual(virgin)
	})

	It("come while twenty others go", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4), Portmap()))
		var old, young []*Box
		for range crowd {
			old, young = append(old, s.Container()), append(young, s.Container())
		}
		before := warm(s, n, Port("tcp", 7999, 80))
		Expect(all(func(i int) error {
			_, err := n.Add(old[i].ID, old[i].Path, "eth0", []map[string]any{Port("tcp", 8000+i, 80)})
			return err
		})).To(HaveEach(BeNil()))
		Expect(all(func(i int) error {
			if err := n.Del(old[i].ID, old[i].Path, "eth0", nil); err != nil {
				return err
			}
			// The port that old gave up a moment ago.
			_, err := n.Add(young[i].ID, young[i].Path, "eth0", []map[string]any{Port("tcp", 8000+i, 80)})
			return err
		})).To(HaveEach(BeNil()))
		for i := range crowd {
			Serve(young[i].Space, "tcp", 80)
			ExpectSeen(s.Outside, "tcp", HostV4, strconv.Itoa(8000+i), OutsideV4)
		}
		Expect(all(func(i int) error {
			return n.Del(young[i].ID, young[i].Path, "eth0", nil)
		})).To(HaveEach(BeNil()))
		s.ExpectEqual(before)
	})

	It("that want one port: one gets it, the others are told who", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4), Portmap()))
		boxes := make([]*Box, crowd)
		for i := range boxes {
			boxes[i] = s.Container()
		}
		before := warm(s, n, Port("tcp", 7999, 80))
		want := []map[string]any{Port("tcp", 8080, 80)}
		errs := all(func(i int) error {
			_, err := n.Add(boxes[i].ID, boxes[i].Path, "eth0", want)
			return err
		})
		winner := slices.Index(errs, nil)
		Expect(winner).NotTo(Equal(-1), "nobody got the port: %v", errs[0])
		for i, err := range errs {
			if i != winner {
				Expect(err).To(MatchError(And(ContainSubstring("8080"), ContainSubstring(boxes[winner].ID))))
				boxes[i].Del(n, want...)
			}
		}
		Serve(boxes[winner].Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		boxes[winner].Del(n, want...)
		s.ExpectEqual(before)
	})
})
