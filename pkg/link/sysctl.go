package link

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// Sysctl is one setting under /proc/sys/net of the host's network namespace.
type Sysctl struct {
	Key      string // "net/ipv4/ip_forward"
	Value    string
	Optional bool // success where the kernel or the link has no IPv6
}

// Add writes the value unless it is there. It reads it back: writes to a masked /proc may vanish.
func (y Sysctl) Add(s *plan.Session) error { return y.add(s.Sysctls) }

func (y Sysctl) add(dirs netns.Sysctls) error {
	err := dirs.Write(y.Key, y.Value)
	if y.Optional && dirs.NoFamily(y.Key, err) {
		return nil
	}
	return err
}

// Check reads the value.
func (y Sysctl) Check(s *plan.Session) error { return y.check(s.Sysctls) }

func (y Sysctl) check(dirs netns.Sysctls) error {
	have, err := dirs.Read(y.Key)
	if y.Optional && dirs.NoFamily(y.Key, err) {
		return nil
	}
	if err != nil {
		return err
	}
	return plan.Compare(plan.SysctlKind, "sysctl").Want(netns.Dotted(y.Key), y.Value, have).Err()
}

func (y Sysctl) String() string {
	return fmt.Sprintf("sysctl -w %s=%s", netns.Dotted(y.Key), y.Value)
}

func inContainer(cmd string) string { return "nsenter --net=$CNI_NETNS " + cmd }

// Inside are settings of the container's namespace. Add and Check enter the namespace once.
type Inside []Sysctl

// Add writes the settings, up to the first error.
func (in Inside) Add(s *plan.Session) error {
	return s.Inside(func() error {
		dirs := netns.OwnSysctls()
		defer dirs.Close()
		for _, y := range in {
			if err := y.add(dirs); err != nil {
				return fmt.Errorf("container: %w", err)
			}
		}
		return nil
	})
}

// Check reads the settings.
func (in Inside) Check(s *plan.Session) error {
	return s.Inside(func() error {
		dirs := netns.OwnSysctls()
		defer dirs.Close()
		var errs []error
		for _, y := range in {
			err := y.check(dirs)
			if dirs.NoFamily(y.Key, err) {
				continue // the link is missing, or has no IPv6: its own object says that
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("container: %w", err))
			}
		}
		return errors.Join(errs...)
	})
}

func (in Inside) String() string {
	lines := make([]string, len(in))
	for i, y := range in {
		lines[i] = inContainer(y.String())
	}
	return strings.Join(lines, "\n")
}
