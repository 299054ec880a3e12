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

// services are the lines that keep ports of every address of the host away from the
// addresses of services, as far as they differ from those in the chain. A port that is
// published on such an address by name has its way.
func (p Ports) services(ipv6 bool, top []string) []string {
	if !slices.ContainsFunc(p.of(ipv6), func(port mapping) bool { return port.dest() == "" }) {
		return nil
	}
	var lines, want []string
	for _, a := range p.Services {
		named := slices.ContainsFunc(p.Ports, func(port hostport.Mapping) bool { return port.HostIP == a })
		if a.Is4() == ipv6 || named {
			continue
		}
		rule := fmt.Sprintf("%s -d %s -m comment --comment %s -j RETURN", topDNAT, netip.PrefixFrom(a, a.BitLen()), serviceComment)
		want = append(want, "-A "+rule)
		if !slices.Contains(top, "-A "+rule) {
			lines = append(lines, "-I "+rule)
		}
	}
	for _, line := range top {
		if isService(line) && !slices.Contains(want, line) {
			lines = append(lines, deletion(line))
		}
	}
	return lines
}

const serviceComment = `"an address of a service is not every host address"`

func isService(line string) bool { return strings.Contains(line, serviceComment) }
