package scenario_test

import (
	"fmt"
	"path/filepath"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/pkg/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The sequences of calls that CRI-O and nerdctl make, with their arguments and their
// configurations: these programs themselves can't be had. Their libraries run in test/e2e.

// sampleOf reads a configuration of conf/.
func sampleOf(s *Stage, path string) *Network {
	GinkgoHelper()
	return s.Network([]byte(Read(GinkgoT(), filepath.Join(confDir, path))))
}

// podArgs are CNI_ARGS of CRI-O for a pod.
func podArgs(b *Box) [][2]string {
	return [][2]string{
		{"IgnoreUnknown", "1"},
		{"K8S_POD_NAMESPACE", "default"},
		{"K8S_POD_NAME", b.ID},
		{"K8S_POD_INFRA_CONTAINER_ID", b.ID},
		{"K8S_POD_UID", "3b7d2f1e-5a0c-4f0e-9a43-0d9c4e8d7a11"},
	}
}

func living(boxes ...*Box) []types.GCAttachment {
	var list []types.GCAttachment
	for _, b := range boxes {
		list = append(list, types.GCAttachment{ContainerID: b.ID, IfName: "eth0"})
	}
	return list
}

var _ = It("CRI-O: STATUS and GC at start, CHECK after each ADD and of all pods after a restart, DEL with and without the namespace", func() {
	s := newStage()
	n := sampleOf(s, "crio/10-bridgeport.conflist")
	Expect(n.Status()).To(Succeed())
	Expect(n.GC(nil)).To(Succeed()) // no pod yet
	before := s.Settled()

	var boxes []*Box
	for range 3 {
		b := s.Container()
		boxes = append(boxes, b)
		n.Args = podArgs(b)
		b.Add(n) // host ports are CRI-O's own work: it sends none
		b.Check(n)
	}
	Serve(boxes[0].Space, "tcp", 80)
	ExpectSeen(boxes[1].Space, "tcp", Addrs(boxes[0].Space, "eth0")[0][:len("10.85.0.2")], "80")

	By("CRI-O is restarted; one pod died meanwhile")
	again := sampleOf(s, "crio/10-bridgeport.conflist")
	for _, b := range boxes {
		again.Args = podArgs(b)
		b.Check(again)
	}
	Expect(again.GC(living(boxes[0], boxes[1]))).To(Succeed())
	Expect(HasLink(boxes[2].Space, "eth0")).To(BeFalse())
	ExpectSeen(boxes[1].Space, "tcp", Addrs(boxes[0].Space, "eth0")[0][:len("10.85.0.2")], "80")

	for _, b := range boxes {
		again.Args = podArgs(b)
		b.Del(again)
		Expect(again.Del(b.ID, "", "eth0", nil)).To(Succeed()) // once more, the namespace is gone
	}
	Expect(again.GC(nil)).To(Succeed())
	s.ExpectEqual(before)
})

var _ = It("nerdctl: DEL before ADD and after the end, both without a namespace, and IDs of 72 characters", func() {
	s := newStage()
	n := sampleOf(s, "nerdctl/nerdctl-bridgeport.conflist")
	// go-cni has no names for its keys in JSON.
	ports := []map[string]any{{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "0.0.0.0"}}
	before := warm(s, n, ports...)
	for i := range 2 {
		b := s.Container()
		b.ID = "default-" + strings.Repeat(fmt.Sprint(i), 64)
		n.Args = [][2]string{{"IgnoreUnknown", "1"}}
		Expect(n.Del(b.ID, "", "eth0", ports)).To(Succeed())
		b.Add(n, ports...)
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		// Here nerdctl looks which ports are taken, before it chooses one itself.
		Expect(Program(s.Host, "", "iptables", "-t", "nat", "-S", "CNI-HOSTPORT-DNAT")).To(MatchRegexp(`--dports? 8080\b`))
		Expect(n.Del(b.ID, "", "eth0", ports)).To(Succeed())
	}
	s.ExpectEqual(before)
})
