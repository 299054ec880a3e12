// Package conntrack forgets connections that the kernel tracks. The first packet of a connection
// decides about NAT. So packets of a client that keeps sending from one port would go to a
// container that is gone, or past a new one, as long as the client sends.
package conntrack

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
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
	orig     []byte // CTA_TUPLE_ORIG as the kernel wrote it, by which the kernel finds the flow
}

// Filter says which flows to forget. From Linux 5.8 on the kernel applies all but Match, so that this
// process does not read a busy node's whole table.
type Filter struct {
	IPv6     bool
	Protocol uint8      // 0: all
	DestPort uint16     // 0: all; needs Protocol
	Server   netip.Addr // invalid: all
	Match    func(Flow) bool
}

// Forget deletes the flows that one of the filters matches. It needs CAP_NET_ADMIN; without
// filters, and on a kernel without connection tracking, there is nothing to forget.
func Forget(filters ...Filter) error {
	if len(filters) == 0 || none() {
		return nil
	}
	c, err := netlink.DialProtocol(unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("conntrack: %w", err)
	}
	defer c.Close()
	var errs []error
	for _, f := range filters {
		errs = append(errs, forget(c, f))
	}
	return errors.Join(errs...)
}

// none says that the namespace has no flow at all. To list them the kernel walks the table of
// all namespaces: 5 ms with 262,144 buckets (ctnetlink_dump_table).
func none() bool {
	count, err := netns.Sysctls(nil).Read("net/netfilter/nf_conntrack_count")
	return err == nil && count == "0"
}

func forget(c *netlink.Conn, f Filter) error {
	flows, err := list(c, f)
	if err != nil {
		return err
	}
	err = c.AskAll(len(flows), func(i int) netlink.Netfilter {
		m := f.message(msgDelete, netlink.AppendAttr(nil, tupleOrig|nested, flows[i].orig...))
		m.Flags = unix.NLM_F_ACK
		return m
	}, func(int, []byte) error { return nil })
	if err != nil { // a flow that has ended by itself is no error
		return fmt.Errorf("conntrack: delete flows: %w", err)
	}
	return nil
}

func list(c *netlink.Conn, f Filter) (flows []Flow, err error) {
	ask := func(attrs []byte) error {
		return c.DumpAll(f.message(msgGet, attrs), func() { flows = nil }, func(attrs []byte) error {
			if flow, ok := parse(attrs); ok && f.matches(flow) {
				flow.orig = bytes.Clone(flow.orig)
				flows = append(flows, flow)
			}
			return nil
		})
	}
	err = ask(f.attributes())
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		err = ask(nil) // a kernel before 5.8
	}
	if err = netlink.Ignore(err, unix.EINVAL, unix.ENOENT); err != nil { // else no connection tracking
		return nil, fmt.Errorf("conntrack: list: %w", err)
	}
	return flows, nil
}

func (f Filter) message(kind uint16, attrs []byte) netlink.Netfilter {
	family := uint8(unix.AF_INET)
	if f.IPv6 {
		family = unix.AF_INET6
	}
	return netlink.Netfilter{Type: kind, Family: family, Attrs: attrs}
}

func (f Filter) matches(flow Flow) bool {
	return (f.Protocol == 0 || f.Protocol == flow.Protocol) &&
		(f.DestPort == 0 || f.DestPort == flow.Dest.Port()) &&
		(!f.Server.IsValid() || f.Server == flow.Server.Addr()) &&
		(f.Match == nil || f.Match(flow))
}
