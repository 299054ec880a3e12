package netns_test

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// TestMain moves the tests into namespaces of their own, where it may: a run that is
// killed must not leave its mounts on the machine.
func TestMain(m *testing.M) { stage.MainIfRoot(m.Run) }
