package main

import (
	"fmt"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

// The kernel's own view, so that no plugin grades its own work.

// linkKind is like "bridge, up".
func linkKind(s *stage.Space, name string) (string, error) {
	var text string
	err := s.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			text = link.Type() + ", " + link.Attrs().OperState.String()
		}
		return err
	})
	return text, err
}

// addresses are the IPv4 addresses of a link, like "192.168.15.1/24".
func addresses(s *stage.Space, name string) (string, error) {
	var texts []string
	err := s.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		list, err := netlink.AddrList(link, netlink.FAMILY_V4)
		for _, a := range list {
			texts = append(texts, a.IPNet.String())
		}
		return err
	})
	return strings.Join(texts, ", "), err
}

// defaultRoute is like "default via 192.168.15.5".
func defaultRoute(s *stage.Space) (string, error) {
	var texts []string
	err := s.Do(func() error {
		list, err := netlink.RouteList(nil, netlink.FAMILY_V4)
		for _, r := range list {
			if ones, bits := r.Dst.Mask.Size(); ones == 0 && bits > 0 {
				texts = append(texts, fmt.Sprintf("default via %s", r.Gw))
			}
		}
		return err
	})
	return strings.Join(texts, ", "), err
}

// hasLink tells whether a link of this name is in the space.
func hasLink(s *stage.Space, name string) (bool, error) {
	found := false
	err := s.Do(func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			found = found || l.Attrs().Name == name
		}
		return err
	})
	return found, err
}
