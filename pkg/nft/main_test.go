package nft

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// TestMain moves the tests into namespaces of their own, where it may.
func TestMain(m *testing.M) { lab.MainIfRoot(m.Run) }

var spaces atomic.Int32

// space is an empty network namespace for one test.
func space(t *testing.T) *lab.Space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	return lab.OpenSpace(t, fmt.Sprint("nft", spaces.Add(1)))
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
