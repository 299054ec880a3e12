package link

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// Retire deletes a bridge of ours with nothing plugged in, its own rules (by rules), and with the
// last of our bridges takes the host's settings back. Other bridges stay.
func Retire(s *plan.Session, name string, rules func() error) error {
	all := func() error {
		retired, err := retire(s, name)
		if err != nil || !retired {
			return err
		}
		return rules()
	}
	return plan.Locked(all) // an ADD that makes the bridge anew comes before or after
}

// retire deletes the bridge, and says whether nothing of ours needs its rules any more.
func retire(s *plan.Session, name string) (bool, error) {
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
		return true, dropLoopback6(s, bridge) // a stranger's bridge stays without our route
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
	if bridge == nil { // somebody deleted the bridge, but not what was around it
		return true, nil
	}
	if err := restore(s, bridge, other, links); err != nil {
		return false, err
	}
	return true, s.Host.DeleteLink(name)
}

// dropHalfMade deletes the gateways of VLANs whose Add was cut short, together with their ports:
// such a port looks like a container's.
func dropHalfMade(s *plan.Session, links []*netlink.Link, bridge string) ([]*netlink.Link, error) {
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

// hasPorts says whether anything but the gateways of its VLANs is plugged into the bridge.
func hasPorts(links []*netlink.Link, bridge *netlink.Link) bool {
	return slices.ContainsFunc(links, func(l *netlink.Link) bool {
		return l.Master == bridge.Index && !gatewayOf(l, bridge.Name)
	})
}

// restore takes the host's settings back, or notes them at another bridge of ours. The settings
// stay while containers or virtual machines are plugged into a stranger's bridge, whoever plugged
// them in: these need the settings, and nothing says when the last of them goes.
func restore(s *plan.Session, bridge, other *netlink.Link, links []*netlink.Link) error {
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
	if slices.ContainsFunc(links, func(l *netlink.Link) bool {
		return label.IsTag(label.Tag(l.Alias)) || l.Port != nil && l.Kind != "" && l.Master != bridge.Index
	}) {
		return nil
	}
	var errs []error
	for _, key := range keys {
		if isAcceptRA(key) {
			// Somebody may have chosen another value meanwhile.
			if have, err := s.Sysctls.Read(key); err != nil || have != "2" {
				continue
			}
		}
		errs = append(errs, netlink.Ignore(s.Sysctls.Write(key, before(key)), os.ErrNotExist))
	}
	return errors.Join(errs...)
}
