package nft

import (
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// The chains are package ruleset's, which imports this one: SetChains is called by the
// tests in package nft_test.
var (
	Base, Frames, Traffic, Isolation, Egress, Neighbours func() Block
	masqChain, snatChain, gateChain                      Chain
)

func SetChains(base, frames, traffic, isolation, egress, neighbours func() Block, masq, snat, gate Chain) {
	Base, Frames, Traffic, Isolation, Egress, Neighbours = base, frames, traffic, isolation, egress, neighbours
	masqChain, snatChain, gateChain = masq, snat, gate
}

func baseChains() []Chain { return Base().Chains() }

func baseChain(name string) Chain {
	chains := baseChains()
	return chains[slices.IndexFunc(chains, func(c Chain) bool { return c.Name == name })]
}

// TestMain moves the tests into namespaces of their own, where it may.
func TestMain(m *testing.M) { stage.MainIfRoot(m.Run) }

var spaces atomic.Int32

// space is an empty network namespace for one test.
func space(t *testing.T) *stage.Space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	return stage.OpenSpace(t, fmt.Sprint("nft", spaces.Add(1)))
}

// withConn runs fn in a namespace of its own. fn must not call t.Run, which would
// start a goroutine elsewhere.
func withConn(t *testing.T, fn func(c *Conn)) {
	t.Helper()
	if err := space(t).Do(func() error { return useConn(fn) }); err != nil {
		t.Error(err)
	}
}

func useConn(fn func(c *Conn)) error {
	c, err := Open()
	if err != nil {
		return err
	}
	defer c.Close()
	fn(c)
	return nil
}
