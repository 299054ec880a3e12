package node

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrNotRoot says that this process may not see what it is to look at. What an unprivileged
// process sees of rules, containers and leases looks as if there were none.
var ErrNotRoot = errors.New("run as root")

// Privileged is nil where the process may look at rules, into containers and into leases,
// else an ErrNotRoot. Root of a user namespace may look at what is in there.
func Privileged() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // capabilities 0 to 31, and the others
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	have := func(bits ...int) bool {
		for _, bit := range bits {
			if sets[0].Effective&(1<<bit) != 0 {
				return true
			}
		}
		return false
	}
	switch {
	case !have(unix.CAP_NET_ADMIN):
		return fmt.Errorf("%w: rules need CAP_NET_ADMIN", ErrNotRoot)
	case !have(unix.CAP_SYS_ADMIN):
		return fmt.Errorf("%w: containers need CAP_SYS_ADMIN", ErrNotRoot)
	case !have(unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH):
		return fmt.Errorf("%w: leases need CAP_DAC_READ_SEARCH", ErrNotRoot)
	}
	return nil
}
