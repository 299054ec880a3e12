// Package delegation_test shows bridge with the IPAM plugins of others: the reference's
// static and dhcp, another build of host-local, and one that misbehaves to order.
package delegation_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == fakeName {
		os.Exit(fake())
	}
	code, isChild := Isolate()
	if isChild {
		code = m.Run()
	}
	os.Exit(code)
}

func TestDelegation(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Delegation")
}

// What is loaded with the first rule of a kind brings sysctls along: the first
// state that a spec compares must have them already.
var _ = BeforeSuite(func() {
	s := NewStage(GinkgoT())
	b, result := s.Attach(s.Bridge(SubnetV4, SubnetV6))
	s.Del(b, s.Bridge(SubnetV4, SubnetV6), result)
})

// newStage is a stage whose CNI_PATH has our bridge and host-local, this program as
// fake-ipam, and the reference's IPAM plugins of these names.
func newStage(theirs ...string) *Stage {
	GinkgoHelper()
	s := NewStage(GinkgoT())
	dir := filepath.Join(s.Dir, "bin")
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	me, err := os.Executable()
	Expect(err).NotTo(HaveOccurred())
	links := map[string]string{fakeName: me}
	for _, name := range []string{"bridge", "host-local"} {
		links[name] = filepath.Join(s.Bin, name)
	}
	for _, name := range theirs {
		links[name] = filepath.Join(Reference(GinkgoT(), name), name)
	}
	for name, program := range links {
		Expect(os.Symlink(program, filepath.Join(dir, name))).To(Succeed())
	}
	s.Bin = dir
	return s
}
