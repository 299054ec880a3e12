// Package conntrack forgets connections that the kernel tracks. The first packet of a connection
// decides about NAT. So packets of a client that keeps sending from one port would go to a
// container that is gone, or past a new one, as long as the client sends.
package conntrack

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

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

// Filter says which flows to forget. From Linux 5.8 on the kernel applies all but functions and IPv6
// addresses, so that this process does not read a busy node's whole table.
type Filter struct {
	IPv6     bool
	Protocol uint8          // 0: all
	DestPort uint16         // 0: all; needs Protocol
	Server   netip.AddrPort // invalid: all; port 0: all ports of the address; a port needs Protocol
	Match    func(Flow) bool
	Except   func(Flow) bool // nil: none; called when all flows are read, so it may ask on the same socket
}

// maxFlush is how many filters the kernel applies by itself: a walk takes it 0.13 ms with 262,144
// buckets (nf_ct_iterate_cleanup), while a list takes 9 ms, since it locks each bucket
// (ctnetlink_dump_table).
const maxFlush = 32

// Forget deletes the flows that one of the filters matches. It needs CAP_NET_ADMIN; without
// filters, and on a kernel without connection tracking, there is nothing to forget. It asks on
// c, a socket of netfilter: after somebody has deleted rules, the close of such a socket waits
// for an RCU grace period (nft_rcv_nl_event). Without c it opens one of its own.
func Forget(c *netlink.Conn, filters ...Filter) (err error) {
	if len(filters) == 0 || none() {
		return nil
	}
	if c == nil {
		if c, err = netlink.DialProtocol(unix.NETLINK_NETFILTER); err != nil {
			return fmt.Errorf("conntrack: %w", err)
		}
		defer c.Close()
	}
	whole, part := split(filters)
	if flush(c, whole) != nil {
		part = filters
	}
	var errs []error
	for _, f := range join(part) {
		errs = append(errs, forget(c, f))
	}
	return errors.Join(errs...)
}

// split finds the filters that the kernel applies as a whole.
func split(filters []Filter) (whole, part []Filter) {
	if len(filters) > maxFlush {
		return nil, filters
	}
	for _, f := range filters {
		if f.Match != nil || f.Except != nil || f.Protocol == 0 || f.Server.Addr().Is6() {
			part = append(part, f)
		} else {
			whole = append(whole, f)
		}
	}
	return whole, part
}

// flush lets the kernel delete what the filters match. Linux 6.18 does, Linux 6.1 refuses: it reads
// CTA_TUPLE_ORIG as the name of one flow and finds no address in it (EINVAL). So a filter without a
// protocol, which has no such attribute, never gets here: such a kernel might delete everything.
func flush(c *netlink.Conn, filters []Filter) error {
	return remove(c, len(filters), func(i int) netlink.Netfilter {
		m := filters[i].message(msgDelete, filters[i].attributes())
		m.Version = 1
		return m
	})
}

// remove sends n deletions. A flow that has ended by itself is no error.
func remove(c *netlink.Conn, n int, deletion func(i int) netlink.Netfilter) error {
	return c.AskAll(n, func(i int) netlink.Netfilter {
		m := deletion(i)
		m.Flags = unix.NLM_F_ACK
		return m
	}, func(int, []byte) error { return nil })
}

// join makes one filter of those that one list answers: those of one server's address.
func join(filters []Filter) (joined []Filter) {
	by := make(map[netip.Addr][]Filter)
	for _, f := range filters {
		if !f.Server.IsValid() {
			joined = append(joined, f)
			continue
		}
		by[f.Server.Addr()] = append(by[f.Server.Addr()], f)
	}
	for server, list := range by {
		joined = append(joined, Filter{IPv6: !server.Is4(), Server: netip.AddrPortFrom(server, 0), Match: func(flow Flow) bool {
			return slices.ContainsFunc(list, func(f Filter) bool { return f.matches(flow) })
		}})
	}
	return joined
}

// none says that the namespace has no flow at all. The kernel would walk the table of all namespaces.
func none() bool {
	count, err := netns.Sysctls(nil).Read("net/netfilter/nf_conntrack_count")
	return err == nil && count == "0"
}

func forget(c *netlink.Conn, f Filter) error {
	flows, err := list(c, f)
	if err != nil {
		return err
	}
	if f.Except != nil {
		flows = slices.DeleteFunc(flows, f.Except)
	}
	err = remove(c, len(flows), func(i int) netlink.Netfilter {
		return f.message(msgDelete, netlink.AppendAttr(nil, tupleOrig|nested, flows[i].orig...))
	})
	if err != nil {
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
		(!f.Server.IsValid() || f.Server.Addr() == flow.Server.Addr()) &&
		(f.Server.Port() == 0 || f.Server.Port() == flow.Server.Port()) &&
		(f.Match == nil || f.Match(flow))
}
