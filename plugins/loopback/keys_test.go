package loopback

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/keys"
)

func TestReadmeKeys(t *testing.T) { keys.Compare(t, struct{}{}, "README.md") }
