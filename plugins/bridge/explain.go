package bridge

import (
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// explain says of what CHECK found, where it is so, that the attachment was made by
// another version or backend.
func (in inputs) explain(s *plan.Session, drift error) error {
	var other []string // where our other backend has its rules
	if !in.conf.IPTables {
		other = append(other, firewall.MasqueradeIPTables{Owner: in.owner}.Chain())
	}
	return foreign.Explain(s, in.owner, in.prefixes(), drift, other...)
}

func (in inputs) prefixes() []netip.Prefix {
	var addrs []netip.Prefix
	for _, a := range in.addresses() {
		addrs = append(addrs, a.prefix)
	}
	return addrs
}
