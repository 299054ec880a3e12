// Package operator_test shows the operator's command on a real kernel: nodes with three
// and with 200 attachments, whole and broken.
package operator_test

import (
	"os"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The golden files are for a UTF-8 locale and for lines of any length.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"LC_ALL": "C.UTF-8", "COLUMNS": ""} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	stage.Main(m.Run)
}

func TestOperator(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(3 * stage.Patience) // the kernel ends namespaces in its own time
	RunSpecs(t, "Operator")
}
