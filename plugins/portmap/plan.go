package portmap

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
)

// inputs is all that a plan follows from.
type inputs struct {
	conf  *Conf
	owner kernel.Owner
	addrs []netip.Prefix // the container's
	ports []kernel.Port
	link  string // the host's link towards the container; "" if there is no route
}

// plan is everything that exists for the published ports after ADD.
func (in inputs) plan() kernel.Plan {
	p := kernel.Ports{Owner: in.owner, Ports: in.ports, MasqAll: in.conf.MasqAll && in.conf.SNAT}
	if in.conf.SNAT {
		for _, a := range in.addrs {
			p.Subnets = append(p.Subnets, a.Masked())
		}
	}
	shared := []kernel.Object{kernel.Rules{}}
	if in.conf.SNAT && in.link != "" && in.loopback() {
		// The guard of Rules comes first: from here on packets for 127.0.0.0/8
		// are routed to this link and, without the guard, from it.
		shared = append(shared, kernel.Sysctl{Key: "net/ipv4/conf/" + in.link + "/route_localnet", Value: "1"})
	}
	return kernel.Plan{Shared: shared, Own: []kernel.Object{p, kernel.Arrivals{Ports: in.ports}}}
}

// loopback says whether a port is to be reached by an address in 127.0.0.0/8.
func (in inputs) loopback() bool {
	for _, p := range in.ports {
		if p.Container.Addr().Is4() && (!p.HostIP.IsValid() || p.HostIP.IsUnspecified() || p.HostIP.IsLoopback()) {
			return true
		}
	}
	return false
}
