package firewall

import (
	"errors"
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
// those with an element's protocol, port and target. The elements' counters do not say whether
// there are any: somebody may have reset them, or loaded the rules anew.
func forgetForwarded(s *plan.Session, elements []nft.Element) error {
	var filters []conntrack.Filter
	for _, e := range elements {
		if proto, port, to, ok := e.Forward(); ok {
			filters = append(filters, conntrack.Filter{IPv6: !to.Addr().Is4(), Protocol: proto, DestPort: port, Server: to})
		}
	}
	return Forget(s, filters...)
}

// Forget deletes tracked connections. It asks on the socket that the session has for rules.
func Forget(s *plan.Session, filters ...conntrack.Filter) error {
	if len(filters) == 0 {
		return nil
	}
	rules, err := s.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return conntrack.Forget(nil, filters...)
	}
	if err != nil {
		return err
	}
	return conntrack.Forget(rules.Socket(), filters...)
}

// ForgetRules is forgetForwarded for rules of iptables.
func ForgetRules(s *plan.Session, list []iptables.Forward) error {
	var filters []conntrack.Filter
	for _, r := range list {
		proto, _ := hostport.Protocol(r.Protocol)
		filter := conntrack.Filter{IPv6: !r.Target.Is4(), Protocol: proto, DestPort: r.First, Server: netip.AddrPortFrom(r.Target, 0)}
		if r.Last != r.First {
			filter.DestPort, filter.Match = 0, func(f conntrack.Flow) bool { return r.First <= f.Dest.Port() && f.Dest.Port() <= r.Last }
		}
		filters = append(filters, filter)
	}
	return Forget(s, filters...)
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
	rules, err := s.Rules()
	if err != nil && !errors.Is(err, nft.ErrUnsupported) {
		return err
	}
	// A port of one address of the host, which another container may have, comes before the same
	// port of all addresses.
	except := func(f conntrack.Flow) bool { return ofOneAddress(rules, f) }
	var filters []conntrack.Filter
	for _, ipv6 := range []bool{false, true} { // one walk of the kernel's table for each family
		mine := slices.DeleteFunc(slices.Clone(ports), func(p hostport.Mapping) bool {
			return !stateless(p) || p.Container.Addr().Is4() == ipv6
		})
		if len(mine) == 0 {
			continue
		}
		filter := conntrack.Filter{IPv6: ipv6, Match: staleFor(mine, local), Except: except}
		if len(mine) == 1 && mine[0].Count() == 1 { // the kernel's filter knows one port
			filter.Protocol, filter.DestPort = mine[0].Protocol, mine[0].HostPort
		}
		filters = append(filters, filter)
	}
	return Forget(s, filters...)
}

// staleFor says of a flow whether it uses one of the ports and leads elsewhere than to the
// port's container.
func staleFor(ports []hostport.Mapping, local map[netip.Addr]bool) func(conntrack.Flow) bool {
	type key struct {
		protocol uint8
		port     uint16
	}
	by := make(map[key][]hostport.Mapping)
	for _, p := range ports {
		p.Each(func(hostPort uint16, _ netip.AddrPort) {
			k := key{p.Protocol, hostPort}
			by[k] = append(by[k], p)
		})
	}
	return func(f conntrack.Flow) bool {
		return slices.ContainsFunc(by[key{f.Protocol, f.Dest.Port()}], func(p hostport.Mapping) bool { return stale(p, f, local) })
	}
}

// ofOneAddress says whether an element for one address of the host leads the flow where it goes.
func ofOneAddress(rules *nft.Conn, f conntrack.Flow) bool {
	if rules == nil {
		return false
	}
	e, found, err := rules.Find(nft.HostPort(f.Dest.Addr(), f.Protocol, f.Dest.Port(), f.Server, ""))
	if err != nil || !found {
		return false // a flow that is forgotten begins anew
	}
	_, _, to, _ := e.Forward()
	return to == f.Server
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
