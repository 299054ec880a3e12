package iptables

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
)

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
