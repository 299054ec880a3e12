package kit

import (
	"errors"
	"net"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// The addresses of a site's node, and of the machine beside it.
const (
	NodeV4, NodeV6     = "10.10.0.11", "fd10::11"
	ClientV4, ClientV6 = "10.10.0.9", "fd10::9"
)

// Site is a LAN with one machine on it, the client, beside one node at a time.
type Site struct {
	Client *stage.Space
	lan    *LAN
}

// NewSite makes the LAN and the client.
func NewSite() (*Site, error) {
	lan, err := NewLAN()
	if err != nil {
		return nil, err
	}
	client, err := lan.Join("client", ClientV4+"/24,"+ClientV6+"/64")
	return &Site{client, lan}, err
}

// Node boots the site's node. Power the last one off before.
func (s *Site) Node(name string) (*Node, error) {
	return NewNode(s.lan, name, NodeV4+"/24,"+NodeV6+"/64")
}

// Serve makes the client tell everybody on a port the address it sees them come from.
func (s *Site) Serve(port string) error {
	for _, network := range []string{"tcp", "udp"} {
		for _, addr := range []string{"0.0.0.0", "::"} {
			if _, err := s.Client.Serve(network, net.JoinHostPort(addr, port)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Links are the names of a namespace's links.
func Links(space *stage.Space) (names []string, err error) {
	err = space.Do(func() error {
		list, err := net.Interfaces()
		for _, l := range list {
			names = append(names, l.Name)
		}
		return err
	})
	return names, err
}

// Addresses are a namespace's, without link-local ones and loopback.
func Addresses(space *stage.Space) (addrs []string, err error) {
	err = space.Do(func() error {
		list, err := net.InterfaceAddrs()
		for _, l := range list {
			p, perr := netip.ParsePrefix(l.String())
			err = errors.Join(err, perr)
			if a := p.Addr(); perr == nil && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
				addrs = append(addrs, a.String())
			}
		}
		return err
	})
	return addrs, err
}
