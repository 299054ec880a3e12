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

// forgetForwarded deletes the tracked connections that elements of port maps sent to containers:
// those with an element's protocol, port and target. An element that has counted no connection needs
// no search: the kernel would read the connections of all namespaces (ctnetlink_dump_table), 5 ms
// with 262,144 buckets, half of the CPU of a DEL.
func forgetForwarded(elements []nft.Element) error {
	type flow struct {
		proto uint8
		port  uint16
		to    netip.AddrPort
	}
	flows := make(map[flow]bool)
	var targets []netip.Addr
	for _, e := range elements {
		if proto, port, to, ok := e.Forward(); ok && !(e.Counted && e.Connections == 0) {
			flows[flow{proto, port, to}], targets = true, append(targets, to.Addr())
		}
	}
	return forgetTo(targets, func(f conntrack.Flow) bool { return flows[flow{f.Protocol, f.Dest.Port(), f.Server}] })
}

// ForgetRules is forgetForwarded for rules of iptables.
func ForgetRules(list []iptables.Forward) error {
	var targets []netip.Addr
	for _, f := range list {
		targets = append(targets, f.Target)
	}
	return forgetTo(targets, func(f conntrack.Flow) bool {
		return f.Dest != f.Server && slices.ContainsFunc(list, func(r iptables.Forward) bool {
			return r.Target == f.Server.Addr() && r.Protocol == hostport.ProtocolName(f.Protocol) && r.First <= f.Dest.Port() && f.Dest.Port() <= r.Last
		})
	})
}

// forgetTo deletes the tracked connections to containers' addresses for which match returns true.
func forgetTo(targets []netip.Addr, match func(conntrack.Flow) bool) error {
	slices.SortFunc(targets, netip.Addr.Compare)
	var filters []conntrack.Filter
	for _, to := range slices.Compact(targets) {
		filters = append(filters, conntrack.Filter{IPv6: !to.Is4(), Server: to, Match: match})
	}
	return conntrack.Forget(filters...)
}

// ForgetOthers deletes tracked connections to ports that have just been published. A client of a
// protocol without a handshake may have sent all along to the host itself or to a container that is
// gone; the kernel would send its packets there as long as they come. The step comes after Ports.
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

// stale says whether a flow to the port goes to anything but the container.
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
