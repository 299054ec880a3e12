package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// Ours is the directory with the plugins under test.
func Ours() string {
	ginkgo.GinkgoHelper()
	return directory("BRIDGEPORT_BIN", "bin", "make build", "bridge", "portmap", "host-local", "loopback")
}

// Reference is the directory with programs of the reference implementation.
func Reference(programs ...string) string {
	ginkgo.GinkgoHelper()
	return directory("REFERENCE_BIN", "bin/reference", "make reference", programs...)
}

// directory finds built programs: where the variable says, else below the
// repository. A spec without its programs fails; it must not pass by testing nothing.
func directory(variable, below, target string, programs ...string) string {
	ginkgo.GinkgoHelper()
	dir := os.Getenv(variable)
	if dir == "" {
		dir = filepath.Join(Root(), below)
	}
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			ginkgo.Fail(fmt.Sprintf("%s is missing in %s: run `%s`, or set %s", p, dir, target, variable))
		}
	}
	return dir
}

// Root is the repository's folder.
func Root() string {
	ginkgo.GinkgoHelper()
	dir, err := os.Getwd() // go test runs in the package's folder
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		gomega.Expect(dir).NotTo(gomega.Equal(filepath.Dir(dir)), "no go.mod above")
		dir = filepath.Dir(dir)
	}
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
