// Package packets_test shows portmap by packets: from every place, to every address of
// the host, with every protocol, beside the rules of others, and while plugins, backends
// and containers change.
package packets_test

import (
	"fmt"
	"os"
	"testing"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestMain(m *testing.M) {
	code, isChild := Isolate()
	if isChild {
		code = m.Run()
		fmt.Printf("packets: %d cells of the table were asked, in %d of them the container answered\n", asked.Load(), answered.Load())
	}
	os.Exit(code)
}

func TestPackets(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Packets")
}
