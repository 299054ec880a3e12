// Package operator_test shows the operator's command on a real kernel: nodes with three
// and with 200 attachments, whole and broken.
package operator_test

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestMain(m *testing.M) { stage.Main(m.Run) }

func TestOperator(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(3 * stage.Patience) // the kernel ends namespaces in its own time
	RunSpecs(t, "Operator")
}
