package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"

	"golang.org/x/sys/unix"
)

// Inherited is a container's link that another plugin made for the attachment, such
// as the reference before the node changed to us. Only Del does anything.
type Inherited struct {
	IfName string
	Addrs  []netip.Prefix // the attachment's, by its lease or its result
}

// Add does nothing: we make links of our own.
func (i Inherited) Add(*Host) error { return nil }

// Check does nothing: what another plugin makes is its own.
func (i Inherited) Check(*Host) error { return nil }

// Del removes a veth of the name that has one of the attachment's addresses. Any
// other link of that name is somebody else's.
func (i Inherited) Del(h *Host) error {
	if found, err := i.found(h); err != nil || !found {
		return err
	}
	return h.cont.DeleteLink(i.IfName)
}

func (i Inherited) found(h *Host) (bool, error) {
	if h.cont == nil {
		return false, nil // the namespace is gone, and its links with it
	}
	link, err := h.cont.Link(i.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("container link %s: %w", i.IfName, err)
	}
	have, err := h.cont.Addresses(link.Index)
	if err != nil {
		return false, fmt.Errorf("container link %s: list addresses: %w", i.IfName, err)
	}
	if link.Kind != "veth" || !slices.ContainsFunc(have, i.has) {
		return false, nil
	}
	// One of ours is its own attachment's to delete: name, path of the namespace and address
	// may be another container's by now.
	end, err := h.rt.LinkByIndex(link.Peer)
	if errors.Is(err, unix.ENODEV) { // it is in another namespace
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("container link %s: other end: %w", i.IfName, err)
	}
	return !isTag(tagOf(end.Alias)), nil
}

func (i Inherited) has(p netip.Prefix) bool {
	return slices.ContainsFunc(i.Addrs, func(a netip.Prefix) bool { return a.Addr() == p.Addr() })
}

func (i Inherited) String() string { return "" }
