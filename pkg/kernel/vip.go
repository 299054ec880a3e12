package kernel

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ServiceAddresses keeps ports that are published on every address of the host away
// from addresses that are local for another reason: those of dummy devices, where
// kube-proxy (kube-ipvs0), node-local DNS and others have the addresses of services.
// It is shared. Addresses that come later are known from the next Add on.
type ServiceAddresses struct{}

// Add queues what brings the sets up to date. Without a dummy device it asks one
// question.
func (ServiceAddresses) Add(h *Host) error {
	vips, err := h.rt.addressesOfKind("dummy")
	if err != nil {
		return fmt.Errorf("addresses of services: %w", err)
	}
	h.queue.VIPs = vips
	return nil
}

// goodSize is at least what the kernel begins a list with, in bytes (NLMSG_GOODSIZE).
const goodSize = 8 << 10

// errOtherKind says that the kernel lists all links: it knows no driver of the kind, so
// there is no such link (linkinfo_to_kind_ops). With 900 containers reading all would
// take 18 ms.
var errOtherKind = errors.New("a link of another kind")

// addressesOfKind are the addresses of a kind of devices, with the device; nil where
// there is no such device.
func (c *Conn) addressesOfKind(kind string) (map[netip.Addr]string, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	// No IFLA_EXT_MASK: with one the kernel measures all links first (rtnl_calcit).
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil) // the kernel picks the devices of the kind
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(kind))
	req.AddData(info)
	// A socket of its own: closing it ends a list that is of no use.
	one, err := dial()
	if err != nil {
		return nil, err
	}
	defer one.Close()
	// The kernel has as much of a list ready as was read last (netlink_recvmsg).
	one.buf = one.buf[:goodSize]
	var links []*Link
	err = one.dump(req, func() { links = nil }, func(data []byte) error {
		link, err := parseLink(data)
		if err == nil && link.Kind != kind {
			return errOtherKind
		}
		links = append(links, link)
		return err
	})
	if errors.Is(err, errOtherKind) {
		return nil, nil
	}
	if err != nil || len(links) == 0 {
		return nil, err
	}
	found := make(map[netip.Addr]string)
	for _, l := range links {
		addrs, err := c.addresses(l.Index)
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			found[a.Addr()] = l.Name
		}
	}
	return found, nil
}

// Check does nothing: services come and go.
func (ServiceAddresses) Check(*Host) error { return nil }

// Del keeps them: they are shared.
func (ServiceAddresses) Del(*Host) error { return nil }

func (ServiceAddresses) String() string { return "" }
