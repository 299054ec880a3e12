package portmap

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/keys"
)

func TestReadmeKeys(t *testing.T) { keys.Compare(t, wire{}, "README.md") }
