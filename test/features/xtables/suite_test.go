// Package xtables_test shows what the plugins do by iptables, over nf_tables and over
// legacy tables: the rules of the reference, and their end.
package xtables_test

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
	for _, variant := range []string{"nft", "legacy"} {
		s := NewStage(GinkgoT())
		NewXtables(s, variant)
		b, result := s.Attach(compatible(s))
		ports := chained(result, nil, Port("tcp", 8080, 80))
		ExpectOK("ADD", s.Call(b, "ADD", ports))
		ExpectOK("DEL", s.Call(b, "DEL", ports))
		s.Del(b, compatible(s), result)
	}
})

func TestXtables(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Xtables")
}
