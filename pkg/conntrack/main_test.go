package conntrack

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// TestMain moves the tests into namespaces of their own, where it may.
func TestMain(m *testing.M) { stage.MainIfRoot(m.Run) }
