package link

import (
	"errors"
	"net"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Neighbour is the MAC address that the host remembers for an address behind a link of its
// own; nil where it remembers none. Kernels before 5.0 do not answer: nil, too.
func Neighbour(s *plan.Session, name string, a netip.Addr) (mac net.HardwareAddr, err error) {
	index, err := s.HostIndex(name)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	req := netlink.Request(unix.RTM_GETNEIGH, 0, &vishvananda.Ndmsg{Family: uint8(netlink.Family(a)), Index: uint32(index)},
		netlink.Bytes(unix.NDA_DST, a.AsSlice()))
	err = s.Host.Get(req, func(data []byte) error {
		mac, _ = neighbourMAC(data)
		return nil
	})
	return mac, netlink.Ignore(err, unix.ENOENT, unix.EOPNOTSUPP)
}

// HeldAddresses are the IPv4 addresses that static entries of the bridge stand for: the MAC
// address of a container of ours follows from its first address (Owner.ContainerMAC).
func HeldAddresses(s *plan.Session, bridge string) (list []netip.Addr, err error) {
	index, err := s.HostIndex(bridge)
	if err != nil {
		return nil, err
	}
	req := netlink.Request(unix.RTM_GETNEIGH, 0, &vishvananda.Ndmsg{Family: unix.AF_BRIDGE},
		netlink.Number(unix.NDA_MASTER, index))
	err = s.Host.Dump(req, func() { list = nil }, func(data []byte) error {
		if mac, state := neighbourMAC(data); isStatic(vishvananda.Ndmsg{State: state}) && derived(mac) {
			list = append(list, addressOf(mac))
		}
		return nil
	})
	return list, err
}

// derived says whether a MAC address follows from an IPv4 address (Owner.ContainerMAC).
func derived(mac net.HardwareAddr) bool { return len(mac) == 6 && mac[0] == 0x0a && mac[1] == 0x58 }

// addressOf is the IPv4 address of a derived MAC address.
func addressOf(mac net.HardwareAddr) netip.Addr { return netip.AddrFrom4([4]byte(mac[2:])) }

// neighbourMAC reads a neighbour's MAC address and state (struct ndmsg).
func neighbourMAC(data []byte) (mac net.HardwareAddr, state uint16) {
	if len(data) < unix.SizeofNdMsg {
		return nil, 0
	}
	attrs, _ := netlink.Attributes(data[unix.SizeofNdMsg:])
	for _, a := range attrs {
		if a.Type == unix.NDA_LLADDR {
			mac = net.HardwareAddr(append([]byte(nil), a.Value...))
		}
	}
	return mac, netlink.U16(data[8:])
}
