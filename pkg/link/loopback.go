package link

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Loopback is the container's loopback link, up. The kernel gives it 127.0.0.1/8 and
// ::1/128 when it comes up (inetdev_event, init_loopback).
type Loopback struct {
	Addrs []netip.Prefix // the addresses that Check wants; none for any
}

// Add brings the link up at once.
func (l Loopback) Add(s *plan.Session) error {
	s.Container.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, "lo", true), "container link lo: set up")
	return s.Container.Flush()
}

// Check compares state and addresses.
func (l Loopback) Check(s *plan.Session) error {
	d := plan.Compare(plan.LinkKind, "container link lo")
	link, err := s.Container.Link("lo")
	if err != nil {
		return fmt.Errorf("container link lo: %w", err)
	}
	d.WantIf(!link.Up, "state", "up", "down")
	have, err := l.Addresses(s)
	if err != nil {
		return err
	}
	for _, a := range l.Addrs {
		d.MissingIf(!slices.Contains(have, a), "address", a.String())
	}
	return d.Err()
}

// Del brings the link down. The kernel decides which addresses stay.
func (l Loopback) Del(s *plan.Session) error {
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Change = unix.IFF_UP
	s.Container.Queue(netlink.Request(unix.RTM_NEWLINK, 0, info, netlink.Bytes(unix.IFLA_IFNAME, nl.ZeroTerminated("lo"))), "container link lo: set down")
	return s.Container.Flush()
}

// Addresses are the link's loopback addresses, IPv4 first.
func (l Loopback) Addresses(s *plan.Session) ([]netip.Prefix, error) {
	index, err := s.ContainerIndex("lo")
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
