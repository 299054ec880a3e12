package bridge

import (
	"bytes"

	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// neighbours says whether the host remembers another MAC address for an IPv4 address of the
// container. The host is asked where the container's MAC address follows from its address:
// otherwise the container announces itself in any case.
func (in *inputs) neighbours(s *plan.Session) (bool, error) {
	if !in.conf.routed() || in.conf.DisableContainerInterface || in.conf.MAC != nil {
		return false, nil
	}
	for _, a := range in.addresses() {
		if !a.prefix.Addr().Is4() {
			continue
		}
		mac, err := link.Neighbour(s, in.conf.outLink(), a.prefix.Addr())
		if err != nil {
			return false, err
		}
		if mac != nil && !bytes.Equal(mac, in.mac) {
			return true, nil
		}
	}
	return false, nil
}
