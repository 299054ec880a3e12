package strangers

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// TestMain moves the tests into namespaces of their own, where it may.
func TestMain(m *testing.M) { stage.MainIfRoot(m.Run) }

var spaces atomic.Int32

// withConn runs fn in a namespace of its own. fn must not call t.Run, which would
// start a goroutine elsewhere.
func withConn(t *testing.T, fn func(c *nft.Conn)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	wantNil(t, stage.OpenSpace(t, fmt.Sprint("others", spaces.Add(1))).Do(func() error {
		c, err := nft.Open()
		if err != nil {
			return err
		}
		defer c.Close()
		fn(c)
		return nil
	}))
}

func wantNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// TestLocked: Accept waits for whoever changes the rules just now.
func TestLocked(t *testing.T) {
	withConn(t, func(c *nft.Conn) {
		lock, err := flock.Netns()
		if err != nil {
			t.Fatal(err)
		}
		var released atomic.Bool
		time.AfterFunc(200*time.Millisecond, func() {
			released.Store(true)
			_ = lock.Close()
		})
		wantNil(t, Accept(c, "br0"))
		if !released.Load() {
			t.Error("did not wait for the lock")
		}
	})
}
