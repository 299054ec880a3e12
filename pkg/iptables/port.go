package iptables

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
)

// mapping is a published port as rules are written.
type mapping struct{ hostport.Mapping }

// ports are the mappings as rules are written.
func (p Ports) ports() []mapping {
	list := make([]mapping, len(p.Ports))
	for i, m := range p.Ports {
		list[i] = mapping{m}
	}
	return list
}

func (p mapping) protocol() string { return hostport.ProtocolName(p.Protocol) }

// numbers are the ports of the host as matches write them.
func (p mapping) numbers() string {
	if p.Range <= 1 {
		return fmt.Sprint(p.HostPort)
	}
	return fmt.Sprintf("%d:%d", p.HostPort, p.Last())
}

// target is the destination of DNAT. Without a port each packet keeps its own. A range that is
// shifted has its base, too (kernel 4.18, iptables 1.8).
func (p mapping) target() string {
	switch first, n := p.Container.Port(), max(p.Range, 1); {
	case n == 1:
		return p.Container.String()
	case first == p.HostPort:
		return p.Container.Addr().String()
	default:
		return fmt.Sprintf("%s-%d/%d", p.Container, first+n-1, p.HostPort)
	}
}

// from are the allowed clients of the family that are in a subnet, as matches; "" is
// everybody. An invalid subnet is every client.
func (p mapping) from(ipv6 bool, in netip.Prefix) []string {
	if p.Allow == nil {
		if !in.IsValid() {
			return []string{""}
		}
		return []string{"-s " + in.String() + " "}
	}
	var list []string
	for _, a := range p.Allow.From {
		if a.Addr().Is4() == ipv6 || in.IsValid() && !a.Overlaps(in) {
			continue
		}
		if in.IsValid() && in.Bits() > a.Bits() {
			a = in
		}
		match := "-s " + a.String() + " "
		if a.Bits() == 0 {
			match = ""
		}
		list = append(list, match)
	}
	return slices.Compact(list)
}

// dest is the match of the host's address, "" for all.
func (p mapping) dest() string {
	if !p.HostIP.IsValid() || p.HostIP.IsUnspecified() {
		return ""
	}
	return "-d " + netip.PrefixFrom(p.HostIP, p.HostIP.BitLen()).String() + " "
}

// Forward is ports that a rule led to a container.
type Forward struct {
	Protocol    string
	First, Last uint16 // of the host
	Target      netip.Addr
}

// forwards reads the rules of a container's chain.
func forwards(lines []string) []Forward {
	var list []Forward
	for _, line := range lines {
		words := strings.Fields(line)
		low, high, ok := span(after(words, "--dport"))
		to := leadsTo(after(words, "--to-destination"))
		if ok && to.IsValid() && slices.Contains(words, "DNAT") {
			list = append(list, Forward{after(words, "-p"), low, high, to})
		}
	}
	return list
}
