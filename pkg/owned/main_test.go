package owned

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// TestMain moves the tests into namespaces of their own, where it may.
func TestMain(m *testing.M) { lab.MainIfRoot(m.Run) }
