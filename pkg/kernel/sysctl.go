package kernel

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/plainfile"
)

const sysctlRoot = "/proc/sys/"

// Sysctl is one setting under /proc/sys/net of the host's network namespace.
type Sysctl struct {
	Key      string // "net/ipv4/ip_forward"
	Value    string
	Optional bool // success where the kernel has no such setting (IPv6 compiled out)
}

// Add writes the value unless it is there already, and reads it back: on a
// read-only or masked /proc some writes vanish.
func (s Sysctl) Add(*Host) error {
	have, err := readSysctl(s.Key)
	if errors.Is(err, os.ErrNotExist) && s.Optional {
		return nil
	}
	if err != nil || have == s.Value {
		return err
	}
	return writeSysctl(s.Key, s.Value)
}

// Check reads the value.
func (s Sysctl) Check(*Host) error {
	have, err := readSysctl(s.Key)
	if errors.Is(err, os.ErrNotExist) && s.Optional {
		return nil
	}
	if err != nil {
		return err
	}
	d := &Drift{Object: "sysctl"}
	d.want(dotted(s.Key), s.Value, have)
	return d.err()
}

// Del leaves the setting: others may rely on it, and a link's goes with the link.
func (s Sysctl) Del(*Host) error { return nil }

func (s Sysctl) String() string {
	return fmt.Sprintf("sysctl -w %s=%s", dotted(s.Key), s.Value)
}

func inContainer(cmd string) string { return "nsenter --net=$CNI_NETNS " + cmd }

// dotted is the sysctl(8) spelling, in which a dot in a link's name is a slash.
func dotted(key string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return '.'
		case '.':
			return '/'
		}
		return r
	}, key)
}

func readSysctl(key string) (string, error) {
	data, err := plainfile.Read(sysctlRoot + key)
	if err != nil {
		return "", fmt.Errorf("sysctl %s: %w", dotted(key), err)
	}
	return strings.TrimSpace(string(data)), nil
}

func writeSysctl(key, value string) error {
	if err := plainfile.Write(sysctlRoot+key, 0, 0, value); err != nil {
		return fmt.Errorf("sysctl %s: write %s: %w", dotted(key), value, err)
	}
	have, err := readSysctl(key)
	if err == nil && have != value {
		err = fmt.Errorf("sysctl %s: wrote %s, but it reads %s", dotted(key), value, have)
	}
	return err
}

// Inside are settings of the container's namespace, written in one visit there.
type Inside []Sysctl

// Add writes them.
func (in Inside) Add(h *Host) error {
	return h.inside(func() error {
		for _, s := range in {
			if err := s.Add(h); err != nil {
				return fmt.Errorf("container: %w", err)
			}
		}
		return nil
	})
}

// Check reads them.
func (in Inside) Check(h *Host) error {
	return h.inside(func() error {
		var errs []error
		for _, s := range in {
			if err := s.Check(h); err != nil {
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
