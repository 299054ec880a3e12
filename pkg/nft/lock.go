package nft

import (
	"fmt"
	"os"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
)

// lockTimeout bounds the wait for another plugin process. One change takes well
// under a millisecond, so only a stopped process can hold the lock this long.
const lockTimeout = 20 * time.Second

// lock serialises the plugin's changes to the rules of one network namespace. It
// is a flock on the namespace itself: no file to create, to lose or to find on a
// read-only disk, and gone with the process. Close the file to release it.
func lock() (*os.File, error) {
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("rules: lock: %w", err)
	}
	if err := flock.Take(f, lockTimeout); err != nil {
		_ = f.Close() // read-only, nothing to lose
		return nil, fmt.Errorf("rules: %w", err)
	}
	return f, nil
}
