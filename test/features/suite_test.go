// Package features_test shows the features beyond a bridge with a gateway, each on a
// real kernel, through the built executables, and by what traffic does.
package features_test

import (
	"testing"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestMain(m *testing.M) { Main(m.Run) }

// What is loaded with the first rule of a kind brings sysctls along: the first
// state that a spec compares must have them already.
var _ = BeforeSuite(func() {
	s := NewStage(GinkgoT())
	b, result := s.Attach(Publishing(s.Bridge(SubnetV4, SubnetV6), Port("tcp", 8080, 80)))
	s.Del(b, s.Bridge(SubnetV4, SubnetV6), result)
})

func TestFeatures(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Features")
}
