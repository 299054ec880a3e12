package kernel

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// localnet ends the key of the setting by which a link's packets may have loopback
// addresses.
const localnet = "/route_localnet"

func localnetKey(link string) string { return "net/ipv4/conf/" + link + localnet }

// LocalNet routes packets for 127.0.0.0/8 to the link and from it, so that
// 127.0.0.1:hostPort works. LocalNet is shared. The guard of Rules comes first: it drops
// such packets that come in from elsewhere.
type LocalNet struct{ Link string }

func (l LocalNet) sysctl() Sysctl { return Sysctl{Key: localnetKey(l.Link), Value: "1"} }

// Add writes the setting.
func (l LocalNet) Add(s *Session) error { return l.sysctl().Add(s) }

// Secure makes the guard again where an ADD fails: GC of another network may have taken the
// empty table with the guard.
func (l LocalNet) Secure(s *Session) error {
	if !s.Tx.HasBase() {
		return nil
	}
	return Rules{}.Add(s)
}

// Check reads the setting.
func (l LocalNet) Check(s *Session) error { return l.sysctl().Check(s) }

func (l LocalNet) String() string { return l.sysctl().String() }

// needed says which of our tables must stay although nothing is in them: that of family
// inet while packets for 127.0.0.0/8 are routed from a link, since it has the guard
// against them; that of family bridge while a port relies on its rules. An ADD that has
// made the table and not filled it yet makes it again (Transaction.commit).
func needed(s *Session) (base, link bool, err error) {
	links, err := s.Host.Links()
	if err != nil {
		return false, false, fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		link = link || l.Group == nft.ContainerGroup
		// A link that goes meanwhile needs nothing.
		value, _ := s.Sysctls.Read(localnetKey(l.Name))
		base = base || value == "1"
	}
	return base, link, nil
}
