package link

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// Sysctl is one setting under /proc/sys/net of the host's network namespace.
type Sysctl struct {
	Key      string // "net/ipv4/ip_forward"
	Value    string
	Optional bool // success where the kernel or the link has no IPv6
}

// Add writes the value unless the setting has it already, and reads the setting back: some writes
// to a read-only or masked /proc vanish.
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
	d := plan.Compare(plan.SysctlKind, "sysctl")
	d.Want(netns.Dotted(y.Key), y.Value, have)
	return d.Err()
}

func (y Sysctl) String() string {
	return fmt.Sprintf("sysctl -w %s=%s", netns.Dotted(y.Key), y.Value)
}

func inContainer(cmd string) string { return "nsenter --net=$CNI_NETNS " + cmd }
