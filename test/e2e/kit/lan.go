package kit

import (
	"crypto/sha256"
	"net"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

// LAN is the wire between nodes: a bridge in a space of its own.
type LAN struct {
	space *stage.Space
}

const lanBridge = "lan0"

// NewLAN makes the switch.
func NewLAN() (*LAN, error) {
	space, err := stage.NewSpace("lan")
	if err != nil {
		return nil, err
	}
	err = space.Do(func() error {
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: lanBridge}}); err != nil {
			return err
		}
		link, err := netlink.LinkByName(lanBridge)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
	return &LAN{space}, err
}

// Join makes a space with eth0 on the LAN.
func (l *LAN) Join(name, addrs string) (*stage.Space, error) {
	space, err := stage.NewSpace(name)
	if err != nil {
		return nil, err
	}
	// Otherwise the kernel finishes link-local addresses at some time of its own.
	if err := space.SetSysctl("net/ipv6/conf/default/accept_dad", "0"); err != nil {
		return nil, err
	}
	if err := stage.Wire(space, "eth0", addrs, l.space, name, ""); err != nil {
		return nil, err
	}
	if err := space.Do(func() error { return setMAC("eth0", addrs) }); err != nil {
		return nil, err
	}
	return space, l.space.Do(func() error {
		port, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		bridge, err := netlink.LinkByName(lanBridge)
		if err != nil {
			return err
		}
		return netlink.LinkSetMaster(port, bridge)
	})
}

// setMAC makes a card's MAC follow from its addresses: neighbours remember it, and a
// node that is booted again or replaced must be reached at once.
func setMAC(link, addrs string) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(addrs))
	return netlink.LinkSetHardwareAddr(l, append(net.HardwareAddr{2}, sum[:5]...))
}

// Leave takes a space off the LAN: the wire goes, with its other end.
func (l *LAN) Leave(name string) error {
	return l.space.Do(func() error {
		port, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.LinkDel(port)
	})
}

// Route adds a route to a space, or replaces it.
func Route(space *stage.Space, dst, via string) error {
	return space.Do(func() error {
		to, err := netlink.ParseIPNet(dst)
		if err != nil {
			return err
		}
		gateway, err := netlink.ParseAddr(via + "/32")
		if err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{Dst: to, Gw: gateway.IP})
	})
}
