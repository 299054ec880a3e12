package node

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Way is what the kernel does with a packet: `ip route get`. It knows all tables and rules of `ip rule`,
// but those for a mark.
type Way struct {
	Link    string // by which the packet leaves; "lo" for the host itself
	Gateway netip.Addr
	Table   int // 254 is the main one
}

// Errors of WayOf.
var (
	ErrNoWay = errors.New("no route")
	// ErrSource: the reply to the sender would leave by another link than the packet came in by.
	ErrSource = errors.New("rp_filter drops the packet")
)

// Strict says whether the link accepts packets only from senders to whom it is the way (rp_filter 1; the larger
// value of "all" and the link counts).
func Strict(link string) bool {
	return max(Sysctl("net/ipv4/conf/"+link+"/rp_filter"), Sysctl("net/ipv4/conf/all/rp_filter")) == "1"
}

// ForwardKey is the setting by which the host forwards packets of a family.
func ForwardKey(is4 bool) string {
	if is4 {
		return "net/ipv4/ip_forward"
	}
	return "net/ipv6/conf/all/forwarding"
}

// strict says whether the link accepts packets from the address only if the way back is by the link. Newer
// kernels answer EINVAL for that and for other reasons; older ones have an error of its own (EXDEV).
func strict(from netip.Addr, in string) bool {
	if in == "" || !Strict(in) {
		return false
	}
	back, err := WayOf(from, netip.Addr{}, "")
	return err == nil && back.Link != in
}

// WayOf asks the kernel, in the thread's namespace, where a packet goes. in is the link by which the packet
// came in; "" for a packet of this namespace's own.
func WayOf(to, from netip.Addr, in string) (Way, error) {
	options := &netlink.RouteGetOptions{Iif: in}
	if from.IsValid() {
		options.SrcAddr = from.AsSlice()
	}
	routes, err := netlink.RouteGetWithOptions(to.AsSlice(), options)
	switch {
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL) && strict(from, in):
		return Way{}, ErrSource
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EACCES),
		errors.Is(err, unix.EINVAL), err == nil && len(routes) == 0:
		return Way{}, ErrNoWay
	case err != nil:
		return Way{}, fmt.Errorf("ip route get %s: %w", to, err)
	}
	r := routes[0]
	w := Way{Gateway: cni.Addr(r.Gw), Table: r.Table, Link: "lo"}
	if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
		w.Link = link.Attrs().Name
	}
	return w, nil
}
