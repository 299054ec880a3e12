package kernel

import (
	"fmt"
	"net/netip"
)

// Towards is the host's link that packets to a container's address leave by.
type Towards struct {
	Link   string // "" without an address or a route, and for an address of the host
	Bridge bool
}

// LinkTowards finds it.
func LinkTowards(s *Session, a netip.Addr) (Towards, error) {
	if !a.IsValid() {
		return Towards{}, nil
	}
	index, _, err := routeTo(s, a)
	if err != nil || index == 0 {
		return Towards{}, err
	}
	link, err := s.Host.LinkByIndex(index)
	if err != nil {
		return Towards{}, wrapRoute(a, err)
	}
	return Towards{link.Name, link.Kind == "bridge"}, nil
}

func wrapRoute(a netip.Addr, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("route to %s: %w", a, err)
}
