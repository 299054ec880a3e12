package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
)

// spaceDir is where `ip netns` looks too, which helps while debugging.
const spaceDir = "/run/netns"

// Space is a network namespace that stands for a host, a container or the world
// outside. Its loopback device is up.
type Space struct {
	*netns.NS
	Name string
	Path string
}

// NewSpace makes a space, mounted at /run/netns/<name>.
func NewSpace(name string) (*Space, error) {
	path := filepath.Join(spaceDir, name)
	ns, err := netns.New(path)
	if err != nil {
		return nil, fmt.Errorf("space %s: make: %w", name, err)
	}
	s := &Space{NS: ns, Name: name, Path: path}
	if err := s.Do(loopbackUp); err != nil {
		return nil, errors.Join(fmt.Errorf("space %s: %w", name, err), s.Close())
	}
	return s, nil
}

// Close unmounts the space. It dies with its last process, socket or mount. A
// second Close does nothing.
func (s *Space) Close() error {
	err := netns.Remove(s.Path)
	if cerr := s.NS.Close(); cerr != nil && !errors.Is(cerr, os.ErrClosed) {
		err = errors.Join(err, cerr)
	}
	if err != nil {
		return fmt.Errorf("space %s: close: %w", s.Name, err)
	}
	return nil
}

// errorf makes an error that names the space; nil stays nil. action is what was done.
func (s *Space) errorf(err error, action string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("space %s: %s: %w", s.Name, fmt.Sprintf(action, args...), err)
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("lo: find: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("lo: set up: %w", err)
	}
	return nil
}
