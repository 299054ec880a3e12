package firewall

import (
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// localnetKey is the setting by which a link's packets may have loopback addresses.
func localnetKey(link string) string { return "net/ipv4/conf/" + link + "/route_localnet" }

// LocalNet routes packets for 127.0.0.0/8 to the link and from it, so that 127.0.0.1:hostPort works.
// LocalNet is shared, and needs Rules before it: the guard drops such packets that come in by a link
// other than lo.
type LocalNet struct{ Link string }

func (l LocalNet) sysctl() link.Sysctl { return link.Sysctl{Key: localnetKey(l.Link), Value: "1"} }

// Add writes the setting.
func (l LocalNet) Add(s *plan.Session) error { return l.sysctl().Add(s) }

// Secure makes the guard again where an ADD fails: GC of another network may have deleted the empty
// table together with the guard.
func (l LocalNet) Secure(s *plan.Session) error {
	if !s.Tx.HasBase() {
		return nil
	}
	return Rules{}.Add(s)
}

// Check reads the setting.
func (l LocalNet) Check(s *plan.Session) error { return l.sysctl().Check(s) }

func (l LocalNet) String() string { return l.sysctl().String() }
