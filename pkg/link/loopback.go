package link

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"golang.org/x/sys/unix"
)

// loopbackLink exists in each namespace and can't be removed (net/core/dev.c).
const loopbackLink = "lo"

// Loopback is the container's loopback link, up. The kernel gives it 127.0.0.1/8 and
// ::1/128 when it comes up (inetdev_event, init_loopback).
type Loopback struct {
	Addrs []netip.Prefix // that Check wants; none for whatever there is
}

// Add brings the link up, at once.
func (l Loopback) Add(s *plan.Session) error {
	s.Container.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, loopbackLink, true), "container link lo: set up")
	return s.Container.Flush()
}

// Check compares state and addresses.
func (l Loopback) Check(s *plan.Session) error {
	d := plan.Compare(plan.LinkKind, "container link lo")
	link, err := s.Container.Link(loopbackLink)
	if err != nil {
		return fmt.Errorf("container link lo: %w", err)
	}
	d.Want("state", "up", upText(link.Up))
	have, err := l.Addresses(s)
	if err != nil {
		return err
	}
	for _, a := range l.Addrs {
		if !slices.Contains(have, a) {
			d.Missing("address", a.String())
		}
	}
	return d.Err()
}

// Del brings the link down; its addresses stay as the kernel wants.
func (l Loopback) Del(s *plan.Session) error {
	s.Container.Queue(netlink.DownRequest(loopbackLink), "container link lo: set down")
	return s.Container.Flush()
}

// Addresses are those of the link that are loopback addresses, IPv4 first.
func (l Loopback) Addresses(s *plan.Session) ([]netip.Prefix, error) {
	index, err := s.ContainerIndex(loopbackLink)
	if err != nil {
		return nil, err
	}
	list, err := s.Container.Addresses(index)
	if err != nil {
		return nil, fmt.Errorf("container link lo: list addresses: %w", err)
	}
	list = slices.DeleteFunc(list, func(p netip.Prefix) bool { return !p.Addr().IsLoopback() })
	slices.SortStableFunc(list, func(a, b netip.Prefix) int { return a.Addr().BitLen() - b.Addr().BitLen() })
	return list, nil
}

func (l Loopback) String() string { return inContainer("ip link set lo up") }
