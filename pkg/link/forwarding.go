package link

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The two settings that make the host a router.
const (
	forward4 = "net/ipv4/ip_forward"
	forward6 = "net/ipv6/conf/all/forwarding"
)

// Forwarding makes the host a router for one address family. It is shared, and needs the Bridge
// before it: the alias of our bridge notes a 0, which Retire of the last bridge writes back.
type Forwarding struct {
	Bridge string
	IPv6   bool
}

func (f Forwarding) key() string {
	if f.IPv6 {
		return forward6
	}
	return forward4
}

// Add writes the note before the setting, so that a crash between the two loses nothing.
func (f Forwarding) Add(s *plan.Session) error {
	have, err := s.Sysctls.Read(f.key())
	if err != nil || have != "0" {
		return err
	}
	return plan.Locked(func() error { return f.enable(s) })
}

// enable is for one process at a time: each changes the same alias.
func (f Forwarding) enable(s *plan.Session) error {
	have, err := s.Sysctls.Read(f.key())
	if err != nil || have != "0" {
		return err
	}
	link, err := s.Host.Link(f.Bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", f.Bridge, err)
	}
	alias := withNote(link.Alias, f.key())
	var routed []string
	if f.IPv6 {
		if routed, err = advertised(s); err != nil {
			return err
		}
		for _, name := range routed {
			alias = withNote(alias, acceptRA(name))
		}
	}
	if ours(link) {
		if err := setAlias(s, f.Bridge, alias); err != nil {
			return err
		}
	}
	for _, name := range routed {
		if err := s.Sysctls.Write(acceptRA(name), "2"); err != nil {
			return err
		}
	}
	return s.Sysctls.Write(f.key(), "1")
}

func acceptRA(link string) string { return "net/ipv6/conf/" + link + "/accept_ra" }

// advertised are the links by which the host has learned routes from router advertisements,
// and takes them only while it is no router (accept_ra 1): when the host becomes a router
// the kernel deletes their default routes at once (rt6_purge_dflt_routers).
func advertised(s *plan.Session) (names []string, err error) {
	indexes := make(map[int]bool)
	err = eachRoute(s.Host, unix.AF_INET6, unix.RT_TABLE_MAIN, func() { clear(indexes) }, func(m *nl.RtMsg, _ Route, oif int) {
		if m.Protocol == unix.RTPROT_RA {
			indexes[oif] = true
		}
	})
	if err != nil {
		return nil, err
	}
	for index := range indexes {
		link, err := s.Host.LinkByIndex(index)
		if err != nil {
			return nil, fmt.Errorf("link of an advertised route: %w", err)
		}
		if have, rerr := s.Sysctls.Read(acceptRA(link.Name)); rerr == nil && have == "1" {
			names = append(names, link.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Check reads the setting.
func (f Forwarding) Check(s *plan.Session) error {
	have, err := s.Sysctls.Read(f.key())
	if err != nil {
		return err
	}
	// 1 and, for IPv6, 2 both forward.
	return plan.Compare(plan.SysctlKind, "sysctl").WantIf(have == "0", netns.Dotted(f.key()), "1", have).Err()
}

func (f Forwarding) String() string { return fmt.Sprintf("sysctl -w %s=1", netns.Dotted(f.key())) }

func aliasAttr(alias string) *nl.RtAttr {
	return nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(alias))
}

func setAlias(s *plan.Session, name, alias string) error {
	s.Host.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, false, aliasAttr(alias)), "link %s: set alias", name)
	return s.Host.Flush()
}

// before is the value that a setting had which we changed.
func before(key string) string {
	if isAcceptRA(key) {
		return "1"
	}
	return "0"
}

// note is the word of a bridge's alias for a setting that we changed.
func note(key string) string { return "was-" + before(key) + ":" + key }

// withNote adds a note where the alias has room for it (IFALIASZ).
func withNote(alias, key string) string {
	longer := cmp.Or(alias, bridgeAlias) + " " + note(key)
	if slices.Contains(notes(alias), key) || len(longer) > aliasLimit {
		return alias
	}
	return longer
}

func isAcceptRA(key string) bool {
	name, is := strings.CutPrefix(key, "net/ipv6/conf/")
	name, is2 := strings.CutSuffix(name, "/accept_ra")
	return is && is2 && cni.CheckLinkName(name) == nil
}

func notes(alias string) []string {
	var keys []string
	for _, word := range strings.Fields(alias) {
		_, key, _ := strings.Cut(word, ":")
		if (key == forward4 || key == forward6 || isAcceptRA(key)) && word == note(key) {
			keys = append(keys, key)
		}
	}
	return keys
}
