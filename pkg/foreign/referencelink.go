package foreign

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"golang.org/x/sys/unix"
)

// ReferenceLink is a container's link that another plugin made for the attachment: the reference,
// before the node changed to us. Or it is our own, whose other end was renamed.
type ReferenceLink struct {
	IfName string
	Tag    string         // the attachment's; "" where a link of ours is none
	Addrs  []netip.Prefix // the attachment's, by its lease or its result
}

// Del removes a veth of the name that has one of the attachment's addresses. Any other link of that
// name is a stranger's.
func (i ReferenceLink) Del(s *plan.Session) error {
	if found, err := i.found(s); err != nil || !found {
		return err
	}
	return s.Container.DeleteLink(i.IfName)
}

func (i ReferenceLink) found(s *plan.Session) (bool, error) {
	if s.Container == nil {
		return false, nil // the namespace is gone, and its links with it
	}
	link, err := s.Container.Link(i.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("container link %s: %w", i.IfName, err)
	}
	have, err := s.Container.Addresses(link.Index)
	if err != nil {
		return false, fmt.Errorf("container link %s: list addresses: %w", i.IfName, err)
	}
	if link.Kind != "veth" || !slices.ContainsFunc(have, i.has) {
		return false, nil
	}
	// A link of ours is deleted by its own attachment's DEL only: the name, the namespace's path and
	// the address may be another container's by now.
	end, err := s.Host.LinkByIndex(link.Peer)
	if errors.Is(err, unix.ENODEV) { // it is in another namespace
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("container link %s: other end: %w", i.IfName, err)
	}
	tag := label.Tag(end.Alias)
	return !label.IsTag(tag) || tag == i.Tag, nil
}

func (i ReferenceLink) has(p netip.Prefix) bool {
	return slices.ContainsFunc(i.Addrs, func(a netip.Prefix) bool { return a.Addr() == p.Addr() })
}
