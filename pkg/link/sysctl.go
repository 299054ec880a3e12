package link

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Sysctl is one setting under /proc/sys/net of the host's network namespace.
type Sysctl struct {
	Key      string // "net/ipv4/ip_forward"
	Value    string
	Optional bool // success where the kernel or the link has no IPv6
	Cosmetic bool // success where /proc/sys is read-only: the value protects nobody
}

// Add writes the value unless it is there. It reads it back: writes to a masked /proc may vanish.
func (y Sysctl) Add(s *plan.Session) error { return y.add(s.Sysctls) }

func (y Sysctl) add(dirs netns.Sysctls) error {
	err := dirs.Write(y.Key, y.Value)
	if y.Optional && dirs.NoFamily(y.Key, err) || y.Cosmetic && errors.Is(err, unix.EROFS) {
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
	if err != nil || have != y.Value && y.fixed(dirs) {
		return err
	}
	return plan.Compare(plan.SysctlKind, "sysctl").Want(netns.Dotted(y.Key), y.Value, have).Err()
}

// fixed says whether the setting may stay as it is, since nobody can write it here.
func (y Sysctl) fixed(dirs netns.Sysctls) bool { return y.Cosmetic && dirs.ReadOnly(y.Key) }

func (y Sysctl) String() string {
	return fmt.Sprintf("sysctl -w %s=%s", netns.Dotted(y.Key), y.Value)
}

func inContainer(cmd string) string { return "nsenter --net=$CNI_NETNS " + cmd }

// Inside are settings of the container's namespace. Add and Check enter the namespace once.
type Inside []Sysctl

// Add writes the settings, up to the first error. Those that the kernel takes by netlink are queued.
func (in Inside) Add(s *plan.Session) error {
	if s.Container == nil {
		return fmt.Errorf("container: %w", netns.ErrNotExist)
	}
	rest := slices.DeleteFunc(slices.Clone(in), func(y Sysctl) bool { return y.queue(s) })
	return s.Inside(func() error {
		dirs := netns.OwnSysctls()
		defer dirs.Close()
		for _, y := range rest {
			if err := y.add(dirs); err != nil {
				return fmt.Errorf("container: %w", err)
			}
		}
		return nil
	})
}

// conf4 are settings of IPv4 links by their numbers in IFLA_INET_CONF (enum IPV4_DEVCONF_*, linux/ip.h).
// The others of Inside have no number, are of all links, or of IPv6, which takes none by netlink.
var conf4 = map[string]uint16{"accept_redirects": 4, "arp_notify": 22}

// inetConf is IFLA_INET_CONF (linux/if_link.h).
const inetConf = 1

// queue queues the setting where the kernel takes it with the link's other attributes
// (inet_set_link_af): /proc costs three system calls.
func (y Sysctl) queue(s *plan.Session) bool {
	var link, key string
	parts := strings.Split(y.Key, "/")
	if len(parts) == 5 && strings.HasPrefix(y.Key, "net/ipv4/conf/") {
		link, key = parts[3], parts[4]
	}
	number, known := conf4[key]
	value, err := strconv.ParseUint(y.Value, 10, 32)
	if !known || err != nil || link == "all" || link == "default" {
		return false
	}
	s.Container.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, link, false, netlink.Nest(unix.IFLA_AF_SPEC,
		netlink.Nest(unix.AF_INET, netlink.Nest(inetConf, nl.NewRtAttr(int(number), nl.Uint32Attr(uint32(value))))))), "container: %s", y)
	return true
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
