package stage

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// carrierWait is far more than the kernel needs to report a link as running.
const carrierWait = 30 * time.Second

// Wire connects two spaces by a veth pair. Addresses have a prefix length; ""
// is none, "192.0.2.1/24,2001:db8::1/64" several. Both ends forward packets when
// Wire returns, and no address of theirs will change by itself.
func Wire(a *Space, aLink, aAddr string, b *Space, bLink, bAddr string) error {
	err := a.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: aLink},
			PeerName:      bLink,
			PeerNamespace: netlink.NsFd(b.Fd()),
		})
	})
	if err != nil {
		return fmt.Errorf("wire %s %s to %s %s: add veth: %w", a.Name, aLink, b.Name, bLink, err)
	}
	err = errors.Join(a.linkUp(aLink), b.linkUp(bLink))
	if err != nil {
		return err
	}
	if err := errors.Join(a.Address(aLink, aAddr), b.Address(bLink, bAddr)); err != nil {
		return err
	}
	return errors.Join(a.waitCarrier(aLink), b.waitCarrier(bLink))
}

func (s *Space) linkUp(name string) error {
	err := s.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		// Scenarios don't wait the second that duplicate address detection takes,
		// for the link-local address either. Without IPv6 there is none.
		err = os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/accept_dad", []byte("0"), 0o644)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return netlink.LinkSetUp(link)
	})
	return s.errorf(err, "%s: set up", name)
}

// Address adds addresses to a link, as in Wire. They are valid at once.
func (s *Space) Address(name, list string) error {
	for text := range strings.SplitSeq(list, ",") {
		if text == "" {
			continue
		}
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			return s.errorf(err, "%s: address %s", name, text)
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD
		}
		err = s.Do(func() error {
			link, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			return netlink.AddrAdd(link, addr)
		})
		if err != nil {
			return s.errorf(err, "%s: add address %s", name, text)
		}
	}
	return nil
}

// waitCarrier waits until the link is running and its addresses are valid: before
// that the first packets are dropped, and a scenario fails once in a hundred runs.
func (s *Space) waitCarrier(name string) error {
	for deadline := time.Now().Add(carrierWait); ; time.Sleep(time.Millisecond) {
		ready := false
		err := s.Do(func() (err error) {
			ready, err = settled(name)
			return err
		})
		if err != nil || ready {
			return s.errorf(err, "%s: wait for carrier", name)
		}
		if time.Now().After(deadline) {
			return s.errorf(errors.New("timed out"), "%s: wait for carrier", name)
		}
	}
}

func settled(name string) (bool, error) {
	link, err := netlink.LinkByName(name)
	if err != nil || link.Attrs().OperState != netlink.OperUp {
		return false, err
	}
	addrs, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(link, netlink.FAMILY_V6) })
	for _, a := range addrs {
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			return false, err
		}
	}
	return err == nil, err
}

// Route adds a route to dst by the next hop via. dst is a CIDR, "default" (IPv4)
// or "default6".
func (s *Space) Route(dst, via string) error {
	route := &netlink.Route{Gw: net.ParseIP(via)}
	if route.Gw == nil {
		return s.errorf(fmt.Errorf("%q is not an address", via), "route %s", dst)
	}
	switch dst {
	case "default":
		dst = "0.0.0.0/0"
	case "default6":
		dst = "::/0"
	}
	var err error
	if _, route.Dst, err = net.ParseCIDR(dst); err != nil {
		return s.errorf(err, "route %s", dst)
	}
	err = s.Do(func() error { return netlink.RouteAdd(route) })
	return s.errorf(err, "add route %s via %s", dst, via)
}
