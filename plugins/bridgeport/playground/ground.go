package playground

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// makeSpace makes a namespace with loopback up; one that is there already stays.
func makeSpace(path string) (*netns.NS, error) {
	ns, err := netns.New(path)
	if errors.Is(err, os.ErrExist) {
		return netns.Open(path)
	}
	if err != nil {
		return nil, err
	}
	return ns, ns.Do(func() error { return address("lo") })
}

// ground makes the host and the outside, with a wire between them.
func (l Lab) ground() error {
	if l.IsUp() {
		return nil
	}
	host, err := makeSpace(l.Netns(host))
	if err != nil {
		return err
	}
	defer host.Close()
	out, err := makeSpace(l.Netns(outside))
	if err != nil {
		return err
	}
	defer out.Close()
	err = host.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(out.Fd()),
		})
	})
	if err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	if err := out.Do(func() error { return address("eth0", OutsideV4+"/24", outsideV6+"/64") }); err != nil {
		return err
	}
	return host.Do(func() error {
		if err := address("uplink", HostV4+"/24", hostV6+"/64"); err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(OutsideV4)})
	})
}

// address gives addresses to a link and brings it up.
func address(name string, list ...string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, text := range list {
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD // nobody else is there
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("%s: add %s: %w", name, text, err)
		}
	}
	return netlink.LinkSetUp(link)
}
