package nft

import (
	"net/netip"
	"strings"
)

// Everything lists the elements of all sets and maps of our tables, in the order of
// the sets. It is for people who look: see List for what it costs.
func (c *Conn) Everything() ([]Element, error) {
	var all []Element
	for _, s := range c.order {
		list, err := c.List(s.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// IsPort says whether the element publishes a port.
func (e Element) IsPort() bool {
	return strings.HasPrefix(e.Set, "hostport") || strings.HasPrefix(e.Set, "anyport")
}

// Address is the container's address that the element is keyed by, in the maps that
// are; invalid elsewhere.
func (e Element) Address() netip.Addr {
	if !strings.HasPrefix(e.Set, "masquerade4") && !strings.HasPrefix(e.Set, "masquerade6") && !strings.HasPrefix(e.Set, "snat") {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(e.Key)
	return a
}

// LinkName is the link that the element is keyed by, in the sets that are; "" elsewhere.
func (e Element) LinkName() string {
	if len(e.Key) < ifNameSize || e.IsPort() || e.Address().IsValid() {
		return ""
	}
	return cString(e.Key[:ifNameSize])
}
