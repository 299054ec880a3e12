package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/vishvananda/netlink"
)

// spaceDir is where `ip netns` looks too, which helps while debugging.
const spaceDir = "/run/netns"

// Space is a network namespace that stands for a host, a container or the world
// outside. Its loopback device is up.
type Space struct {
	*netns.NS
	Name string
	Path string
	t    T // the test that it belongs to; nil in a program that is no test
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

// OpenSpace is NewSpace for one test, and ends with it.
func OpenSpace(t T, name string) *Space {
	t.Helper()
	s, err := NewSpace(name)
	must(t, err)
	s.t = t
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Opened is a namespace of others as a space. It stays when the test ends.
func Opened(t T, path string) *Space {
	t.Helper()
	ns, err := netns.Open(path)
	must(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	return &Space{NS: ns, Name: path, Path: path, t: t}
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

// Sysctl reads a setting of the space, named as in "net/ipv4/ip_forward".
func (s *Space) Sysctl(key string) (value string, err error) {
	err = s.Do(func() (err error) {
		data, err := os.ReadFile("/proc/sys/" + key)
		value = strings.TrimSuffix(string(data), "\n")
		return err
	})
	return value, s.errorf(err, "read sysctl")
}

// SetSysctl writes a setting of the space.
func (s *Space) SetSysctl(key, value string) error {
	err := s.Do(func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0o644) })
	return s.errorf(err, "write sysctl")
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
