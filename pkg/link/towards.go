package link

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Towards is the host's link that packets to a container's address leave by.
type Towards struct {
	Link   string // "" without an address or a route, and for an address of the host
	Bridge bool
}

// LinkTowards finds it.
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
		return Towards{}, wrapRoute(a, err)
	}
	return Towards{link.Name, link.Kind == "bridge"}, nil
}

func wrapRoute(a netip.Addr, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("route to %s: %w", a, err)
}

// RouteTo is the link by which packets to an address leave, 0 without one, and whether
// they go to a gateway.
func RouteTo(s *plan.Session, a netip.Addr) (index int, gateway bool, err error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, 0)
	msg := &nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(netlink.Family(a)), Dst_len: uint8(a.BitLen())}}
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_DST, a.AsSlice()))
	err = s.Host.Get(req, func(data []byte) error {
		m := nl.DeserializeRtMsg(data)
		attrs, err := netlink.Attributes(data[m.Len():])
		if err != nil || m.Type != unix.RTN_UNICAST {
			return err
		}
		for _, at := range attrs {
			switch at.Type {
			case unix.RTA_OIF:
				index = int(netlink.U32(at.Value))
			case unix.RTA_GATEWAY, unix.RTA_VIA:
				gateway = true
			}
		}
		return nil
	})
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
		err = nil
	}
	return index, gateway, wrapRoute(a, err)
}
