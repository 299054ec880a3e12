package scenario_test

import (
	"errors"
	"fmt"
	"net"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// inside runs do with the thread in the space and wants it to work.
func inside(s *lab.Space, do func() error) {
	GinkgoHelper()
	Expect(s.Do(do)).To(Succeed())
}

// link reads a link of the space.
func link(s *lab.Space, name string) (l netlink.Link) {
	GinkgoHelper()
	inside(s, func() (err error) {
		l, err = netlink.LinkByName(name)
		return err
	})
	return l
}

// hasLink tells whether the space has a link of that name.
func hasLink(s *lab.Space, name string) bool {
	GinkgoHelper()
	found := true
	inside(s, func() error {
		_, err := netlink.LinkByName(name)
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			found, err = false, nil
		}
		return err
	})
	return found
}

// addrs lists the addresses of a link, without the link-local ones.
func addrs(s *lab.Space, name string) (list []string) {
	GinkgoHelper()
	for _, a := range addrsOf(s, name) {
		list = append(list, a.IPNet.String())
	}
	return list
}

func addrsOf(s *lab.Space, name string) (list []netlink.Addr) {
	GinkgoHelper()
	l := link(s, name)
	inside(s, func() error {
		all, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_ALL) })
		for _, a := range all {
			if !a.IP.IsLinkLocalUnicast() {
				list = append(list, a)
			}
		}
		return err
	})
	return list
}

// usable says whether connections can go out from each IPv6 address of the link: the
// kernel does not take one as a source while it looks for duplicates of it. Unlike
// its neighbours here it may be called from any goroutine.
func usable(s *lab.Space, name string) error {
	return s.Do(func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		all, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_V6) })
		for _, a := range all {
			if a.Flags&unix.IFA_F_TENTATIVE != 0 && !a.IP.IsLinkLocalUnicast() {
				err = errors.Join(err, fmt.Errorf("%s: %s is tentative when ADD returns", s.Name, a.IP))
			}
		}
		return err
	})
}

// routes lists the main table's routes of a link that lead by a gateway.
func routes(s *lab.Space, name string) (list []string) {
	GinkgoHelper()
	l := link(s, name)
	inside(s, func() error {
		all, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Route, error) { return netlink.RouteList(l, netlink.FAMILY_ALL) })
		for _, r := range all {
			if r.Gw != nil {
				list = append(list, fmt.Sprintf("%s via %s", r.Dst, r.Gw))
			}
		}
		return err
	})
	return list
}

// bridgePort is the host's end of the pair whose result is given by name.
func bridgePort(s *lab.Space, name string) *netlink.Protinfo {
	GinkgoHelper()
	l := link(s, name)
	var port netlink.Protinfo
	inside(s, func() (err error) {
		port, err = netlink.LinkGetProtinfo(l)
		return err
	})
	return &port
}

// table is the plugins' nft table.
var table = &nftables.Table{Family: nftables.TableFamilyINet, Name: "bridgeport"}

// nft changes or reads the ruleset of the space.
func nft(s *lab.Space, do func(*nftables.Conn) error) {
	GinkgoHelper()
	inside(s, func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		return errors.Join(do(c), c.Flush())
	})
}

// elements reads a set or map of the plugins' table.
func elements(s *lab.Space, set string) (list []nftables.SetElement) {
	GinkgoHelper()
	nft(s, func(c *nftables.Conn) error {
		found, err := c.GetSetByName(table, set)
		if err == nil {
			list, err = c.GetSetElements(found)
		}
		return err
	})
	return list
}

// emptySet deletes every element of a set or map of the plugins' table.
func emptySet(s *lab.Space, set string) {
	GinkgoHelper()
	list := elements(s, set)
	Expect(list).NotTo(BeEmpty(), "set %s", set)
	nft(s, func(c *nftables.Conn) error {
		found, err := c.GetSetByName(table, set)
		if err != nil {
			return err
		}
		return c.SetDeleteElements(found, list)
	})
}

func parseMAC(text string) net.HardwareAddr {
	GinkgoHelper()
	mac, err := net.ParseMAC(text)
	Expect(err).NotTo(HaveOccurred())
	return mac
}

func parseAddr(text string) *netlink.Addr {
	GinkgoHelper()
	a, err := netlink.ParseAddr(text)
	Expect(err).NotTo(HaveOccurred())
	return a
}

func deleteLink(s *lab.Space, name string) {
	GinkgoHelper()
	l := link(s, name)
	inside(s, func() error { return netlink.LinkDel(l) })
}
