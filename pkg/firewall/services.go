package firewall

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// ServiceAddresses keeps ports that are published on every address of the host away from addresses
// of services. Kube-proxy (kube-ipvs0), node-local DNS and others have these on dummy devices.
// ServiceAddresses is shared, and needs Rules before it. The next Add learns of later addresses.
type ServiceAddresses struct{}

// Add queues the changes of the sets. Without a dummy device it asks one question.
func (ServiceAddresses) Add(s *plan.Session) error {
	vips, err := s.Host.AddressesOfKind("dummy")
	if err != nil {
		return fmt.Errorf("addresses of services: %w", err)
	}
	s.Tx.Services(vips)
	return nil
}

func (ServiceAddresses) String() string { return "" }
