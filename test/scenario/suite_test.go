// Package scenario_test shows what the plugins do, on a real kernel, through the
// built executables: a runtime's view. Every spec makes namespaces of its own; the
// machine's links, firewall, sysctls and files are never touched.
package scenario_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

func TestMain(m *testing.M) {
	code, isChild := lab.Isolate()
	if isChild {
		code = m.Run()
	}
	os.Exit(code)
}

func TestScenarios(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Scenarios")
}

// bin holds the plugins under test.
var bin string

var _ = BeforeSuite(func() {
	bin = directory("BRIDGEPORT_BIN", "bin", "make build", "bridge", "portmap", "host-local", "loopback")
})

// reference is the directory with the tools of the reference implementation.
func reference(tools ...string) string {
	GinkgoHelper()
	return directory("REFERENCE_BIN", "bin/reference", "make reference", tools...)
}

// directory finds built programs: where the variable says, else below the
// repository. A spec without its programs fails; it must not pass by testing nothing.
func directory(variable, below, target string, programs ...string) string {
	GinkgoHelper()
	dir := os.Getenv(variable)
	if dir == "" {
		dir = filepath.Join("..", "..", below)
	}
	dir, err := filepath.Abs(dir)
	Expect(err).NotTo(HaveOccurred())
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(dir, p)); err != nil {
			Fail(fmt.Sprintf("%s is missing in %s: run `%s`, or set %s", p, dir, target, variable))
		}
	}
	return dir
}
