// Package scenario_test shows what the plugins do, on a real kernel, through the
// built executables: a runtime's view. Every spec makes namespaces of its own; the
// machine's links, firewall, sysctls and files are never touched.
package scenario_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m.Run) }

func TestScenarios(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Scenarios")
}

// bin holds the plugins under test.
var bin string

var _ = BeforeSuite(func() {
	bin = lab.Plugins(GinkgoT(), "bridge", "portmap", "host-local", "loopback")
})

// reference is the directory with the tools of the reference implementation.
func reference(tools ...string) string {
	GinkgoHelper()
	return lab.Reference(GinkgoT(), tools...)
}
