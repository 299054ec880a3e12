package stage

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Inside runs do with the thread in the space and wants it to work.
func Inside(s *Space, do func() error) {
	s.t.Helper()
	must(s.t, s.Do(do))
}

// Link reads a link of the space.
func Link(s *Space, name string) (l netlink.Link) {
	s.t.Helper()
	Inside(s, func() (err error) {
		l, err = netlink.LinkByName(name)
		return err
	})
	return l
}

// HasLink tells whether the space has a link of that name.
func HasLink(s *Space, name string) bool {
	s.t.Helper()
	found := true
	Inside(s, func() error {
		_, err := netlink.LinkByName(name)
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			found, err = false, nil
		}
		return err
	})
	return found
}

// Change does something to a link of the space.
func Change(s *Space, name string, do func(netlink.Link) error) {
	s.t.Helper()
	l := Link(s, name)
	Inside(s, func() error { return do(l) })
}

// whole repeats a list that the kernel was interrupted in.
func whole[T any](list func() ([]T, error)) ([]T, error) {
	return dump.Whole(netlink.ErrDumpInterrupted, list)
}

// listed is a list of the space.
func listed[T any](s *Space, list func() ([]T, error)) (all []T) {
	s.t.Helper()
	Inside(s, func() (err error) {
		all, err = whole(list)
		return err
	})
	return all
}

// Links lists the links of the space.
func Links(s *Space) []netlink.Link {
	s.t.Helper()
	return listed(s, netlink.LinkList)
}

// AddrList lists the addresses of a link, without the link-local ones.
func AddrList(s *Space, name string) []netlink.Addr {
	s.t.Helper()
	return addrList(s, name, false)
}

func addrList(s *Space, name string, linkLocal bool) []netlink.Addr {
	s.t.Helper()
	l := Link(s, name)
	list := listed(s, func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
	return slices.DeleteFunc(list, func(a netlink.Addr) bool { return a.IP.IsLinkLocalUnicast() != linkLocal })
}

// RouteList lists routes of the main table: those of a link, with "" all.
func RouteList(s *Space, name string, family int) []netlink.Route {
	s.t.Helper()
	var l netlink.Link
	if name != "" {
		l = Link(s, name)
	}
	return listed(s, func() ([]netlink.Route, error) { return netlink.RouteList(l, family) })
}

// NeighList lists the entries that the space has for its neighbours, on a link or,
// with "", on all.
func NeighList(s *Space, name string, family int) []netlink.Neigh {
	s.t.Helper()
	index := 0
	if name != "" {
		index = Link(s, name).Attrs().Index
	}
	return listed(s, func() ([]netlink.Neigh, error) { return netlink.NeighList(index, family) })
}

// Usable says whether connections can go out from each IPv6 address of the link: the
// kernel does not take one as a source while it looks for duplicates of it. It may be
// called from any goroutine.
func (s *Space) Usable(name string) error {
	err := s.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		all, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_V6) })
		for _, a := range all {
			if a.Flags&unix.IFA_F_TENTATIVE != 0 && !a.IP.IsLinkLocalUnicast() {
				err = errors.Join(err, fmt.Errorf("%s is tentative", a.IP))
			}
		}
		return err
	})
	return s.errorf(err, "addresses of %s", name)
}

// Addrs is AddrList in words, "10.60.0.2/24".
func Addrs(s *Space, name string) []string {
	s.t.Helper()
	return inWords(addrList(s, name, false))
}

// LinkLocals are the link-local addresses of a link, as in Addrs.
func LinkLocals(s *Space, name string) []string {
	s.t.Helper()
	return inWords(addrList(s, name, true))
}

func inWords(addrs []netlink.Addr) (list []string) {
	for _, a := range addrs {
		list = append(list, a.IPNet.String())
	}
	return list
}

// Routes lists the main table's routes of a link that lead by a gateway, with the
// metric where it is not the kernel's default.
func Routes(s *Space, name string) (list []string) {
	s.t.Helper()
	for _, r := range RouteList(s, name, netlink.FAMILY_ALL) {
		if r.Gw == nil {
			continue
		}
		text := fmt.Sprintf("%s via %s", r.Dst, r.Gw)
		if isDefault := r.Gw.To4() == nil && r.Priority == 1024; r.Priority != 0 && !isDefault {
			text += fmt.Sprintf(" metric %d", r.Priority)
		}
		list = append(list, text)
	}
	return list
}

// ParseAddr is an address with its length.
func ParseAddr(text string) *netlink.Addr {
	a, err := netlink.ParseAddr(text)
	if err != nil {
		panic(err) // a slip in a test
	}
	return a
}

// MAC is the hardware address of a link.
func MAC(s *Space, name string) net.HardwareAddr {
	s.t.Helper()
	return Link(s, name).Attrs().HardwareAddr
}

// The plugins' tables.
var (
	NAT    = &nftables.Table{Family: nftables.TableFamilyINet, Name: "bridgeport"}
	Frames = &nftables.Table{Family: nftables.TableFamilyBridge, Name: "bridgeport"}
)

// Rules changes or reads the ruleset of the space.
func Rules(s *Space, do func(*nftables.Conn) error) {
	s.t.Helper()
	Inside(s, func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		return errors.Join(do(c), c.Flush())
	})
}

// Elements reads a set or map.
func Elements(s *Space, table *nftables.Table, set string) (list []nftables.SetElement) {
	s.t.Helper()
	Rules(s, func(c *nftables.Conn) error {
		found, err := c.GetSetByName(table, set)
		if err == nil {
			list, err = c.GetSetElements(found)
		}
		return err
	})
	return list
}

// EmptySet deletes every element of a set or map, of which there must be some.
func EmptySet(s *Space, table *nftables.Table, set string) {
	s.t.Helper()
	list := Elements(s, table, set)
	if len(list) == 0 {
		s.t.Fatal("set ", set, " is empty")
	}
	Rules(s, func(c *nftables.Conn) error {
		found, err := c.GetSetByName(table, set)
		if err != nil {
			return err
		}
		return c.SetDeleteElements(found, list)
	})
}
