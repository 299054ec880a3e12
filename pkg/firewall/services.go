package firewall

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// ServiceAddresses keeps ports that are published on every address of the host away
// from addresses that are local for another reason: those of dummy devices, where
// kube-proxy (kube-ipvs0), node-local DNS and others have the addresses of services.
// It is shared. Addresses that come later are known from the next Add on.
type ServiceAddresses struct{}

// Add queues what brings the sets up to date. Without a dummy device it asks one
// question.
func (ServiceAddresses) Add(s *plan.Session) error {
	vips, err := s.Host.AddressesOfKind("dummy")
	if err != nil {
		return fmt.Errorf("addresses of services: %w", err)
	}
	s.Tx.Services(vips)
	return nil
}

func (ServiceAddresses) String() string { return "" }
