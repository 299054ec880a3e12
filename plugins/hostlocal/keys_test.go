package hostlocal

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/test/keys"
)

func TestReadmeKeys(t *testing.T) { keys.Compare(t, lease.Wire(), "README.md") }
