// Package scenario_test shows what the plugins do, on a real kernel, through the
// built executables: a runtime's view. Every spec makes namespaces of its own; the
// machine's links, firewall, sysctls and files are never touched.
package scenario_test

import (
	"testing"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestMain(m *testing.M) { Main(m.Run) }

func TestScenarios(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Scenarios")
}
