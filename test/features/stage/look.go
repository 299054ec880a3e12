package stage

import (
	"errors"
	"fmt"
	"net"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/google/nftables"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// Inside runs do with the thread in the space and wants it to work.
func Inside(s *lab.Space, do func() error) {
	ginkgo.GinkgoHelper()
	gomega.Expect(s.Do(do)).To(gomega.Succeed())
}

// Link reads a link of the space.
func Link(s *lab.Space, name string) (l netlink.Link) {
	ginkgo.GinkgoHelper()
	Inside(s, func() (err error) {
		l, err = netlink.LinkByName(name)
		return err
	})
	return l
}

// HasLink tells whether the space has a link of that name.
func HasLink(s *lab.Space, name string) bool {
	ginkgo.GinkgoHelper()
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
func Change(s *lab.Space, name string, do func(netlink.Link) error) {
	ginkgo.GinkgoHelper()
	l := Link(s, name)
	Inside(s, func() error { return do(l) })
}

// Addrs lists the addresses of a link, without the link-local ones.
func Addrs(s *lab.Space, name string) (list []string) {
	ginkgo.GinkgoHelper()
	for _, a := range addrsOf(s, name) {
		if !a.IP.IsLinkLocalUnicast() {
			list = append(list, a.IPNet.String())
		}
	}
	return list
}

// LinkLocals lists the link-local addresses of a link.
func LinkLocals(s *lab.Space, name string) (list []string) {
	ginkgo.GinkgoHelper()
	for _, a := range addrsOf(s, name) {
		if a.IP.IsLinkLocalUnicast() {
			list = append(list, a.IPNet.String())
		}
	}
	return list
}

func addrsOf(s *lab.Space, name string) (list []netlink.Addr) {
	ginkgo.GinkgoHelper()
	Change(s, name, func(l netlink.Link) (err error) {
		list, err = dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
		return err
	})
	return list
}

// Routes lists the main table's routes of a link that lead by a gateway, with the
// metric where it is not the kernel's default.
func Routes(s *lab.Space, name string) (list []string) {
	ginkgo.GinkgoHelper()
	Change(s, name, func(l netlink.Link) error {
		all, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Route, error) { return netlink.RouteList(l, netlink.FAMILY_ALL) })
		for _, r := range all {
			if r.Gw == nil {
				continue
			}
			text := fmt.Sprintf("%s via %s", r.Dst, r.Gw)
			if isDefault := r.Gw.To4() == nil && r.Priority == 1024; r.Priority != 0 && !isDefault {
				text += fmt.Sprintf(" metric %d", r.Priority)
			}
			list = append(list, text)
		}
		return err
	})
	return list
}

// ParseAddr is an address with its length.
func ParseAddr(text string) *netlink.Addr {
	ginkgo.GinkgoHelper()
	a, err := netlink.ParseAddr(text)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return a
}

// MAC is the hardware address of a link.
func MAC(s *lab.Space, name string) net.HardwareAddr {
	ginkgo.GinkgoHelper()
	return Link(s, name).Attrs().HardwareAddr
}

// The plugins' tables.
var (
	NAT    = &nftables.Table{Family: nftables.TableFamilyINet, Name: "bridgeport"}
	Frames = &nftables.Table{Family: nftables.TableFamilyBridge, Name: "bridgeport"}
)

// Rules changes or reads the ruleset of the space.
func Rules(s *lab.Space, do func(*nftables.Conn) error) {
	ginkgo.GinkgoHelper()
	Inside(s, func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		return errors.Join(do(c), c.Flush())
	})
}

// Elements reads a set or map.
func Elements(s *lab.Space, table *nftables.Table, set string) (list []nftables.SetElement) {
	ginkgo.GinkgoHelper()
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
func EmptySet(s *lab.Space, table *nftables.Table, set string) {
	ginkgo.GinkgoHelper()
	list := Elements(s, table, set)
	gomega.Expect(list).NotTo(gomega.BeEmpty(), "set %s", set)
	Rules(s, func(c *nftables.Conn) error {
		found, err := c.GetSetByName(table, set)
		if err != nil {
			return err
		}
		return c.SetDeleteElements(found, list)
	})
}
