package kernel

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The two settings that make the host a router.
const (
	forward4 = "net/ipv4/ip_forward"
	forward6 = "net/ipv6/conf/all/forwarding"
)

// Forwarding makes the host a router for one address family. It is shared. What
// it had to change is noted in the alias of our bridge, so that retiring the last
// bridge can take it back.
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

// Add notes first and writes then, so that a crash between the two loses nothing.
func (f Forwarding) Add(s *Session) error {
	have, err := s.sysctls.read(f.key())
	if err != nil || have != "0" {
		return err
	}
	return locked(func() error { return f.enable(s) })
}

// enable is for one process at a time: each changes the same alias.
func (f Forwarding) enable(s *Session) error {
	have, err := s.sysctls.read(f.key())
	if err != nil || have != "0" {
		return err
	}
	link, err := s.Host.Link(f.Bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", f.Bridge, err)
	}
	if ours(link) {
		if err := setAlias(s, f.Bridge, withNote(link.Alias, f.key())); err != nil {
			return err
		}
	}
	return s.sysctls.write(f.key(), "1")
}

// Check reads the setting.
func (f Forwarding) Check(s *Session) error {
	have, err := s.sysctls.read(f.key())
	if err != nil {
		return err
	}
	d := compare(SysctlKind, "sysctl")
	if have == "0" { // 1 and, for IPv6, 2 both forward
		d.want(dotted(f.key()), "1", have)
	}
	return d.err()
}

func (f Forwarding) String() string { return fmt.Sprintf("sysctl -w %s=1", dotted(f.key())) }

// locked runs fn while no other process of ours changes what they share. fn must not
// call what takes the same lock, as the changes of rules do. A program that fn executes
// holds the lock too: if we are killed, it may be in the middle of a change that no
// signal ends.
func locked(fn func() error) error {
	lock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := unix.FcntlInt(lock.Fd(), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("firewall: lock: hand on: %w", err)
	}
	return fn()
}

func setAlias(s *Session, name, alias string) error {
	req := netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, false)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(alias)))
	s.Host.Queue(req, "link %s: set alias", name)
	return s.Host.Flush()
}

// notePrefix begins a word of a bridge's alias: a setting that was 0 before us.
const notePrefix = "was-0:"

func withNote(alias, key string) string {
	if slices.Contains(notes(alias), key) {
		return alias
	}
	if alias == "" {
		alias = bridgeAlias
	}
	return alias + " " + notePrefix + key
}

func notes(alias string) []string {
	var keys []string
	for _, word := range strings.Fields(alias) {
		// Nothing but our two settings is ever written back, whoever wrote the alias.
		if key, ok := strings.CutPrefix(word, notePrefix); ok && (key == forward4 || key == forward6) {
			keys = append(keys, key)
		}
	}
	return keys
}

// RetireBridge removes a bridge that we made and nothing is plugged into, and with
// the last of our bridges what the host was changed for. A bridge of somebody
// else, or with ports, stays.
func RetireBridge(s *Session, name string) error {
	all := func() error {
		retired, err := retire(s, name)
		if err != nil || !retired {
			return err
		}
		return retireRules(s, name)
	}
	return locked(all) // an ADD that makes the bridge anew comes before or after
}

// retire says whether nothing of ours needs rules for the bridge any more.
func retire(s *Session, name string) (bool, error) {
	links, err := s.Host.Links()
	if err != nil {
		return false, fmt.Errorf("bridge %s: list links: %w", name, err)
	}
	var bridge, other *netlink.Link
	for _, l := range links {
		switch {
		case l.Name == name:
			bridge = l
		case l.Kind == "bridge" && ours(l):
			other = l
		}
	}
	if bridge != nil && (bridge.Kind != "bridge" || !ours(bridge)) {
		if bridge.Kind != "bridge" || hasPorts(links, bridge) {
			return false, nil
		}
		return true, dropLoopback6(s, bridge) // somebody else's, which stays without us
	}
	links, err = dropHalfMade(s, links, name)
	if err != nil || bridge != nil && hasPorts(links, bridge) {
		return false, err
	}
	for _, l := range links {
		if gatewayOf(l, name) {
			if err := s.Host.DeleteLink(l.Name); err != nil {
				return false, err
			}
		}
	}
	if bridge == nil { // somebody deleted it, but not what was around it
		return true, nil
	}
	if err := restore(s, bridge, other, links); err != nil {
		return false, err
	}
	return true, s.Host.DeleteLink(name)
}

// dropHalfMade removes VLANs' gateways whose making was cut short, and with them
// their ports, which nothing else tells from a container's.
func dropHalfMade(s *Session, links []*netlink.Link, bridge string) ([]*netlink.Link, error) {
	dropped := false
	for _, l := range links {
		if l.Alias == "" && gatewayOf(l, bridge) {
			if err := s.Host.DeleteLink(l.Name); err != nil {
				return nil, err
			}
			dropped = true
		}
	}
	if !dropped {
		return links, nil
	}
	return s.Host.Links()
}

// retireRules removes the rules that are the bridge's own.
func retireRules(s *Session, name string) error {
	err := eachFamily(func(f iptables.Family) error {
		return f.UnacceptLegacy(func(link string) bool { return nft.OfBridge(link, name) })
	})
	rules, nerr := s.Rules()
	if errors.Is(nerr, nft.ErrUnsupported) {
		return err
	}
	if nerr != nil {
		return errors.Join(err, nerr)
	}
	return errors.Join(err, rules.RetireBridge(name))
}

// hasPorts says whether anything is plugged in but the gateways of its VLANs.
func hasPorts(links []*netlink.Link, bridge *netlink.Link) bool {
	return slices.ContainsFunc(links, func(l *netlink.Link) bool {
		return l.Master == bridge.Index && !gatewayOf(l, bridge.Name)
	})
}

// restore takes back the host's settings, or leaves that to another bridge of ours. While
// containers are plugged into somebody else's bridge the settings stay: they need them,
// and nothing tells when the last of them goes.
func restore(s *Session, bridge, other *netlink.Link, links []*netlink.Link) error {
	keys := notes(bridge.Alias)
	if len(keys) == 0 {
		return nil
	}
	if other != nil {
		alias := other.Alias
		for _, key := range keys {
			alias = withNote(alias, key)
		}
		return setAlias(s, other.Name, alias)
	}
	if slices.ContainsFunc(links, func(l *netlink.Link) bool { return isTag(tagOf(l.Alias)) }) {
		return nil
	}
	var errs []error
	for _, key := range keys {
		if err := s.sysctls.write(key, "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
