package scenario_test

import (
	"fmt"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// The sequences of calls that CRI-O and nerdctl make, with their arguments and their
// configurations, where these programs themselves can't be had.

// sampleOf reads a configuration of conf/.
func (s *stage) sampleOf(path string) *lab.Network {
	GinkgoHelper()
	return s.network([]byte(read(filepath.Join(confDir, path))))
}

// podArgs are CNI_ARGS of CRI-O for a pod.
func podArgs(b *box) [][2]string {
	return [][2]string{
		{"IgnoreUnknown", "1"},
		{"K8S_POD_NAMESPACE", "default"},
		{"K8S_POD_NAME", b.id},
		{"K8S_POD_INFRA_CONTAINER_ID", b.id},
		{"K8S_POD_UID", "3b7d2f1e-5a0c-4f0e-9a43-0d9c4e8d7a11"},
	}
}

func living(boxes ...*box) []types.GCAttachment {
	var list []types.GCAttachment
	for _, b := range boxes {
		list = append(list, types.GCAttachment{ContainerID: b.id, IfName: "eth0"})
	}
	return list
}

var _ = It("CRI-O: STATUS and GC at start, CHECK after each ADD and of all pods after a restart, DEL with and without the namespace", func() {
	s := newStage()
	n := s.sampleOf("crio/10-bridgeport.conflist")
	Expect(n.Status()).To(Succeed())
	Expect(n.GC(nil)).To(Succeed()) // no pod yet
	before := s.settled()

	var boxes []*box
	for range 3 {
		b := s.container()
		boxes = append(boxes, b)
		n.Args = podArgs(b)
		b.add(n) // host ports are CRI-O's own work: it sends none
		Expect(n.Check(b.id, b.Path, "eth0", nil)).To(Succeed())
	}
	serve(boxes[0].Space, "tcp", 80)
	expectSeen(boxes[1].Space, "tcp", addrs(boxes[0].Space, "eth0")[0][:len("10.85.0.2")], "80")

	By("CRI-O is restarted; one pod died meanwhile")
	again := s.sampleOf("crio/10-bridgeport.conflist")
	for _, b := range boxes {
		again.Args = podArgs(b)
		Expect(again.Check(b.id, b.Path, "eth0", nil)).To(Succeed())
	}
	Expect(again.GC(living(boxes[0], boxes[1]))).To(Succeed())
	Expect(hasLink(boxes[2].Space, "eth0")).To(BeFalse())
	expectSeen(boxes[1].Space, "tcp", addrs(boxes[0].Space, "eth0")[0][:len("10.85.0.2")], "80")

	for _, b := range boxes {
		again.Args = podArgs(b)
		b.del(again)
		Expect(again.Del(b.id, "", "eth0", nil)).To(Succeed()) // once more, the namespace is gone
	}
	Expect(again.GC(nil)).To(Succeed())
	s.expectEqual(before)
})

var _ = It("nerdctl: DEL before ADD and after the end, both without a namespace, and IDs of 72 characters", func() {
	s := newStage()
	n := s.sampleOf("nerdctl/nerdctl-bridgeport.conflist")
	// go-cni has no names for its keys in JSON.
	ports := []map[string]any{{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": "0.0.0.0"}}
	before := s.warm(n, ports...)
	for i := range 2 {
		b := s.container()
		b.id = "default-" + strings.Repeat(fmt.Sprint(i), 64)
		n.Args = [][2]string{{"IgnoreUnknown", "1"}}
		Expect(n.Del(b.id, "", "eth0", ports)).To(Succeed())
		b.add(n, ports...)
		serve(b.Space, "tcp", 80)
		expectSeen(s.outside, "tcp", hostV4, "8080", outsideV4)
		Expect(n.Del(b.id, "", "eth0", ports)).To(Succeed())
	}
	s.expectEqual(before)
})
