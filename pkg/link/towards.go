package link

import (
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Towards is the host's link by which packets to a container's address leave.
type Towards struct {
	Link   string // "" without an address or a route, and for an address of the host
	Bridge bool
}

// LinkTowards finds the link towards an address.
func LinkTowards(s *plan.Session, a netip.Addr) (Towards, error) {
	if !a.IsValid() {
		return Towards{}, nil
	}
	index, _, err := RouteTo(s, a)
	if err != nil || index == 0 {
		return Towards{}, err
	}
	link, err := s.Host.LinkByIndex(index)
	if err != nil {
		return Towards{}, fmt.Errorf("route to %s: %w", a, err)
	}
	return Towards{link.Name, link.Kind == "bridge"}, nil
}

// RouteTo is the index of the link by which packets to an address leave, 0 without one; gateway
// says whether they go to a gateway.
func RouteTo(s *plan.Session, a netip.Addr) (index int, gateway bool, err error) {
	msg := &nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(netlink.Family(a)), Dst_len: uint8(a.BitLen())}}
	err = s.Host.Get(netlink.Request(unix.RTM_GETROUTE, 0, msg, netlink.Bytes(unix.RTA_DST, a.AsSlice())), func(data []byte) error {
		m := nl.DeserializeRtMsg(data)
		if attrs := data[m.Len():]; m.Type == unix.RTN_UNICAST {
			index = int(netlink.U32(netlink.Nested(attrs, unix.RTA_OIF)))
			gateway = netlink.Nested(attrs, unix.RTA_GATEWAY) != nil || netlink.Nested(attrs, unix.RTA_VIA) != nil
		}
		return nil
	})
	if err = netlink.Ignore(err, unix.ENETUNREACH, unix.EHOSTUNREACH); err != nil {
		err = fmt.Errorf("route to %s: %w", a, err)
	}
	return index, gateway, err
}
