package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Program runs an installed program in the space and returns what it printed. One
// that fails fails the test.
func Program(s *Space, stdin, name string, args ...string) string {
	s.t.Helper()
	out, err := Try(s, stdin, name, args...)
	if err != nil {
		s.t.Fatal(fmt.Sprintf("%s %q: %v", name, args, err))
	}
	return out
}

// Try is Program for one that may fail.
func Try(s *Space, stdin, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewBufferString(stdin), &out, &errs
	if err := s.Do(cmd.Run); err != nil {
		return "", fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

// HasVlans tells whether the kernel has bridges that tell VLANs apart.
func (s *Stage) HasVlans() bool {
	s.Helper()
	on := true
	probe := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "probe0"}, VlanFiltering: &on}
	err := s.Space("probe").Do(func() error { return netlink.LinkAdd(probe) })
	if !errors.Is(err, unix.EOPNOTSUPP) {
		s.Must(err)
	}
	return err == nil
}

// NeedVlans skips the test without them.
func (s *Stage) NeedVlans() {
	s.Helper()
	if !s.HasVlans() {
		Missing(s.T, "bridge VLAN filtering")
	}
}
