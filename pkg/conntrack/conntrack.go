// Package conntrack forgets connections that the kernel tracks. NAT is decided by a
// connection's first packet, so a client that keeps sending from one port would be
// led to a container that is gone, or past a new one, for as long as it sends.
package conntrack

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Messages and attributes of linux/netfilter/nfnetlink_conntrack.h.
const (
	msgGet     = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
	msgDelete  = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2
	tupleOrig  = 1
	tupleReply = 2
	attrFilter = 25
	nested     = unix.NLA_F_NESTED
)

// Flow is a tracked connection: from Client to Dest, answered by Server. Dest and
// Server differ where the destination was translated.
type Flow struct {
	Protocol uint8
	Client   netip.AddrPort
	Dest     netip.AddrPort
	Server   netip.AddrPort
	orig     []byte // CTA_TUPLE_ORIG as it came, which names the flow
}

// Filter says which flows to forget. The kernel applies what it can (since 5.8), to
// keep a busy node's table out of this process; Match has the last word.
type Filter struct {
	IPv6     bool
	Protocol uint8      // 0: all
	DestPort uint16     // 0: all; needs Protocol
	Server   netip.Addr // invalid: all
	Match    func(Flow) bool
}

// Forget deletes the flows that the filter matches, and returns how many. It needs
// CAP_NET_ADMIN; a kernel without connection tracking has nothing to forget.
func Forget(f Filter) (int, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, fmt.Errorf("conntrack: open netlink socket: %w", err)
	}
	defer c.Close()
	flows, err := list(c, f)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, flow := range flows {
		_, err := c.Execute(netlink.Message{
			Header: netlink.Header{Type: msgDelete, Flags: netlink.Request | netlink.Acknowledge},
			Data:   append(family(f.IPv6), marshal(netlink.Attribute{Type: tupleOrig | nested, Data: flow.orig})...),
		})
		if err != nil && !errors.Is(err, unix.ENOENT) { // it may have ended by itself
			return n, fmt.Errorf("conntrack: delete flow to %s: %w", flow.Dest, err)
		}
		n++
	}
	return n, nil
}

func list(c *netlink.Conn, f Filter) ([]Flow, error) {
	request := func(data []byte) ([]netlink.Message, error) {
		return c.Execute(netlink.Message{
			Header: netlink.Header{Type: msgGet, Flags: netlink.Request | netlink.Dump},
			Data:   append(family(f.IPv6), data...),
		})
	}
	answers, err := request(f.attributes())
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		answers, err = request(nil) // a kernel before 5.8
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil, nil // no connection tracking
	}
	if err != nil {
		return nil, fmt.Errorf("conntrack: list: %w", err)
	}
	var flows []Flow
	for _, m := range answers {
		if flow, ok := parse(m.Data); ok && f.matches(flow) {
			flows = append(flows, flow)
		}
	}
	return flows, nil
}

func (f Filter) matches(flow Flow) bool {
	return (f.Protocol == 0 || f.Protocol == flow.Protocol) &&
		(f.DestPort == 0 || f.DestPort == flow.Dest.Port()) &&
		(!f.Server.IsValid() || f.Server == flow.Server.Addr()) &&
		(f.Match == nil || f.Match(flow))
}
