package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// Ours is the directory with the plugins under test.
func Ours() string {
	ginkgo.GinkgoHelper()
	return lab.Plugins(ginkgo.GinkgoT(), "bridge", "portmap", "host-local", "loopback")
}

// Reference is the directory with programs of the reference implementation.
func Reference(programs ...string) string {
	ginkgo.GinkgoHelper()
	return lab.Reference(ginkgo.GinkgoT(), programs...)
}

// Program runs an installed program in the space and returns what it printed. One
// that fails fails the spec.
func Program(s *lab.Space, stdin, name string, args ...string) string {
	ginkgo.GinkgoHelper()
	out, err := Try(s, stdin, name, args...)
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "%s %q", name, args)
	return out
}

// Try is Program for one that may fail.
func Try(s *lab.Space, stdin, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewBufferString(stdin), &out, &errs
	if err := s.Do(cmd.Run); err != nil {
		return "", fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

// Missing ends the spec: the kernel lacks a feature. In the guest of test/vm, whose
// kernel has all of them, that is a failure.
func Missing(feature string) {
	ginkgo.GinkgoHelper()
	if os.Getenv("BRIDGEPORT_VM") == "1" {
		ginkgo.Fail("the kernel lacks " + feature)
	}
	ginkgo.Skip("the kernel lacks " + feature)
}

// HasVlans tells whether the kernel has bridges that tell VLANs apart.
func (s *Stage) HasVlans() bool {
	ginkgo.GinkgoHelper()
	on := true
	probe := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "probe0"}, VlanFiltering: &on}
	err := s.Space("probe").Do(func() error { return netlink.LinkAdd(probe) })
	if !errors.Is(err, unix.EOPNOTSUPP) {
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
	}
	return err == nil
}

// NeedVlans skips the spec without them.
func (s *Stage) NeedVlans() {
	ginkgo.GinkgoHelper()
	if !s.HasVlans() {
		Missing("bridge VLAN filtering")
	}
}
