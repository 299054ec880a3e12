package firewall

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/conntrack"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"golang.org/x/sys/unix"
)

// forgetForwarded deletes the tracked connections that elements of port maps led to
// containers: exactly those with the element's protocol, port and target. Where an
// element has counted none there is nothing to look for, and no need to have the kernel
// walk the table of all namespaces' connections: 5 ms with 262,144 buckets, half of the
// CPU of a DEL (ctnetlink_dump_table).
func forgetForwarded(elements []nft.Element) error {
	type flow struct {
		proto uint8
		port  uint16
		to    netip.AddrPort
	}
	flows := make(map[flow]bool)
	targets := make(map[netip.Addr]bool)
	for _, e := range elements {
		if proto, port, to, ok := e.Forward(); ok && !(e.Counted && e.Connections == 0) {
			flows[flow{proto, port, to}], targets[to.Addr()] = true, true
		}
	}
	var filters []conntrack.Filter
	for target := range targets {
		filters = append(filters, conntrack.Filter{
			IPv6: !target.Is4(), Server: target,
			Match: func(f conntrack.Flow) bool { return flows[flow{f.Protocol, f.Dest.Port(), f.Server}] },
		})
	}
	return conntrack.Forget(filters...)
}

// ForgetRules is forgetForwarded for rules of iptables.
func ForgetRules(list []iptables.Forward) error {
	targets := make(map[netip.Addr][]iptables.Forward)
	for _, f := range list {
		targets[f.Target] = append(targets[f.Target], f)
	}
	var filters []conntrack.Filter
	for target, list := range targets {
		filters = append(filters, conntrack.Filter{
			IPv6: !target.Is4(), Server: target,
			Match: func(f conntrack.Flow) bool {
				return f.Dest != f.Server && slices.ContainsFunc(list, func(r iptables.Forward) bool {
					return r.Protocol == hostport.ProtocolName(f.Protocol) && r.First <= f.Dest.Port() && f.Dest.Port() <= r.Last
				})
			},
		})
	}
	return conntrack.Forget(filters...)
}

// ForgetOthers deletes connections to ports that have just been published: clients of
// protocols without a handshake may have been sending all along, to the host itself or to a
// container that is gone, and the kernel would lead them there for as long as they send. The
// step comes after the elements of the ports.
func ForgetOthers(ports []hostport.Mapping) plan.Step {
	if !slices.ContainsFunc(ports, stateless) {
		return plan.Step{Run: func(*plan.Session) error { return nil }}
	}
	return plan.Step{Name: "forget connections to these UDP and SCTP ports that lead elsewhere", Run: func(s *plan.Session) error { return forgetOthers(s, ports) }}
}

func forgetOthers(s *plan.Session, ports []hostport.Mapping) error {
	if err := s.Flush(); err != nil {
		return err
	}
	local, err := s.Host.LocalAddresses()
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	var filters []conntrack.Filter
	for _, p := range ports {
		if !stateless(p) {
			continue
		}
		filter := conntrack.Filter{IPv6: !p.Container.Addr().Is4(), Protocol: p.Protocol}
		if p.Count() == 1 { // the kernel's filter knows one port
			filter.DestPort = p.HostPort
		}
		filter.Match = func(f conntrack.Flow) bool { return stale(p, f, local) }
		filters = append(filters, filter)
	}
	return conntrack.Forget(filters...)
}

// stale says whether a flow to the port leads elsewhere than to the container.
func stale(p hostport.Mapping, f conntrack.Flow, local map[netip.Addr]bool) bool {
	mine := f.Dest.Addr() == p.HostIP
	if p.Any() {
		mine = f.Dest.Addr().IsLoopback() || local[f.Dest.Addr()]
	}
	if !mine || !p.Holds(f.Dest.Port()) {
		return false
	}
	to := netip.AddrPortFrom(p.Container.Addr(), p.Container.Port()+(f.Dest.Port()-p.HostPort))
	return f.Server != to
}

func stateless(p hostport.Mapping) bool {
	return p.Protocol == unix.IPPROTO_UDP || p.Protocol == unix.IPPROTO_SCTP
}
