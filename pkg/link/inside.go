package link

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

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
