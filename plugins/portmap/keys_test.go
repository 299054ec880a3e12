package portmap

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	"github.com/bridgeport-cni/bridgeport/test/keys"
)

func TestReadmeKeys(t *testing.T) { keys.Compare(t, publish.Wire(), "README.md") }
