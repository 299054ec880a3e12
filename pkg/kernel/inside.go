package kernel

import (
	"errors"
	"fmt"
	"strings"
)

// Inside are settings of the container's namespace, written in one visit there.
type Inside []Sysctl

// Add writes them.
func (in Inside) Add(h *Host) error {
	return h.inside(func() error {
		dirs := ownSysctlDirs()
		defer dirs.close()
		for _, s := range in {
			if err := s.add(dirs); err != nil {
				return fmt.Errorf("container: %w", err)
			}
		}
		return nil
	})
}

// Check reads them.
func (in Inside) Check(h *Host) error {
	return h.inside(func() error {
		dirs := ownSysctlDirs()
		defer dirs.close()
		var errs []error
		for _, s := range in {
			if err := s.check(dirs); err != nil {
				errs = append(errs, fmt.Errorf("container: %w", err))
			}
		}
		return errors.Join(errs...)
	})
}

// Del does nothing: the settings go with the link.
func (in Inside) Del(*Host) error { return nil }

func (in Inside) String() string {
	lines := make([]string, len(in))
	for i, s := range in {
		lines[i] = inContainer(s.String())
	}
	return strings.Join(lines, "\n")
}
