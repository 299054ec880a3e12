package link

import (
	"bytes"
	"errors"
	"fmt"
	"net"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"golang.org/x/sys/unix"
)

// VlanAlias begins the alias of both ends of a VLAN's gateway link. The bridge's name follows.
const VlanAlias = bridgeAlias + " vlan gateway of"

// VlanGatewayName is the link that has the gateway addresses of a VLAN.
func VlanGatewayName(bridge string, vid uint16) string { return fmt.Sprintf("%s.%d", bridge, vid) }

// VlanGateway is the host's own place in a VLAN of the bridge. It is a veth pair: one end is a port
// in the VLAN, the other end has the gateway's addresses. VlanGateway is shared, needs the Bridge
// before it, and goes with the bridge.
type VlanGateway struct {
	Bridge string
	VID    uint16
	MTU    int // bytes; 0 leaves the kernel's default
}

func (g VlanGateway) name() string { return VlanGatewayName(g.Bridge, g.VID) }

// port is the name of the end in the bridge.
func (g VlanGateway) port() string { return "veth" + plan.Digest("vlan gateway", g.name())[:11] }

// Facts are the MAC address and MTU of the host's end, or what Add will give it.
func (g VlanGateway) Facts(s *plan.Session) (Facts, error) {
	link, err := s.Host.Link(g.name())
	if errors.Is(err, netlink.ErrNoLink) {
		return Facts{MAC: gatewayMAC(g.name()), MTU: g.MTU}, nil
	}
	if err != nil {
		return Facts{}, fmt.Errorf("vlan gateway %s: %w", g.name(), err)
	}
	return Facts{MAC: link.MAC, MTU: link.MTU}, nil
}

func gatewayMAC(link string) net.HardwareAddr {
	return plan.HardwareAddr("vlan gateway", machine(), link)
}

// Add makes the pair, or finishes one of ours that lacks something. A stranger's stays as it is.
func (g VlanGateway) Add(s *plan.Session) error {
	link, err := s.HostLink(g.name())
	if errors.Is(err, netlink.ErrNoLink) || err == nil && !g.complete(link) {
		err = plan.Locked(func() error {
			link, err = g.make(s)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("vlan gateway %s: %w", g.name(), err)
	}
	if _, err := s.Rules(); err != nil {
		return netlink.Ignore(err, nft.ErrUnsupported) // kernels without nf_tables have VLANs, too
	}
	s.Tx.Base()
	s.Tx.Chains(ruleset.VlanGatewayChain(g.Bridge, g.VID, link.MAC))
	return nil
}

func (g VlanGateway) complete(link *netlink.Link) bool {
	return link.Kind == "veth" && link.Up && link.Alias == g.alias() && (g.MTU == 0 || link.MTU == g.MTU) && link.Group == g.group(link.Name)
}

// group is the link group of an end: by it rules know gateways, and the ports that lead to them.
func (g VlanGateway) group(end string) uint32 {
	if end == g.name() {
		return ruleset.GatewayGroup
	}
	return ruleset.GatewayPortGroup
}

func (g VlanGateway) make(s *plan.Session) (*netlink.Link, error) {
	if err := g.create(s); err != nil {
		return nil, err
	}
	link, err := s.HostLink(g.name())
	if err != nil {
		return nil, err
	}
	if link.Kind != "veth" {
		return nil, fmt.Errorf("a link of this name exists and is not a veth but %s: remove it or use another bridge: %w", kindText(link.Kind), plan.ErrConflict)
	}
	// The name is a digest, so the port is ours if it exists.
	if _, err := s.Host.Link(g.port()); errors.Is(err, netlink.ErrNoLink) || err == nil && g.complete(link) {
		return link, nil
	} else if err != nil {
		return nil, err
	}
	return link, g.finish(s)
}

func (g VlanGateway) create(s *plan.Session) error {
	master, err := s.HostIndex(g.Bridge)
	if err != nil {
		return err
	}
	// The port's index is one less than the gateway's, as the reference has it: the kernel makes the
	// other end of a pair first (veth_newlink). That end takes no master on the way.
	s.Host.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, g.name(), false,
		netlink.Bytes(unix.IFLA_ADDRESS, gatewayMAC(g.name())),
		pairInfo(g.port(), netlink.Bytes(unix.IFLA_ADDRESS, plan.HardwareAddr("vlan gateway port", machine(), g.name())))), "create")
	s.Host.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, g.port(), false, netlink.Number(unix.IFLA_MASTER, master)), "plug in")
	return netlink.Ignore(s.Host.Flush(), unix.EEXIST)
}

// finish sets what a new pair lacks, or another MTU.
func (g VlanGateway) finish(s *plan.Session) error {
	// The VLANs come first: frames of VLAN 1 would pass otherwise for a moment.
	if err := g.vlans().Add(s); err != nil {
		return errors.Join(err, s.Host.DeleteLink(g.port()))
	}
	for _, name := range []string{g.port(), g.name()} {
		s.Host.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, true, aliasAttr(g.alias()),
			netlink.Number(unix.IFLA_MTU, g.MTU), netlink.Number(unix.IFLA_GROUP, g.group(name))), "link %s: set up", name)
	}
	refuse := Sysctl{Key: "net/ipv6/conf/" + g.name() + "/accept_ra", Value: "0", Optional: true}
	return errors.Join(refuse.Add(s), noIPv6(g.port()).Add(s), s.Host.Flush())
}

func (g VlanGateway) alias() string { return VlanAlias + " " + g.Bridge }

// gatewayOf says whether the link is an end of a VLAN's gateway of the bridge, even half made.
func gatewayOf(l *netlink.Link, bridge string) bool {
	return l.Alias == VlanGateway{Bridge: bridge}.alias() ||
		l.Alias == "" && l.Kind == "veth" && nft.OfBridge(l.Name, bridge) && bytes.Equal(l.MAC, gatewayMAC(l.Name))
}

func (g VlanGateway) vlans() Vlans { return Vlans{Link: g.port(), PVID: g.VID} }

// Check compares kind and state of both ends, and the VLAN.
func (g VlanGateway) Check(s *plan.Session) error {
	d := plan.Compare(plan.LinkKind, "vlan gateway "+g.name())
	link, err := s.HostLink(g.name())
	if err != nil {
		return noLink(plan.LinkKind, "vlan gateway "+g.name(), g.name(), err)
	}
	d.Want("kind", "veth", link.Kind)
	d.WantIf(!link.Up, "state", "up", "down")
	if link.Alias != g.alias() {
		return d.Err() // a stranger's
	}
	d.WantIf(g.MTU > 0, "mtu", g.MTU, link.MTU)
	d.Want("group", g.group(g.name()), link.Group)
	master, merr := s.HostIndex(g.Bridge)
	port, err := s.Host.Link(g.port())
	if err == nil {
		d.Want("group of the port", g.group(g.port()), port.Group)
	}
	d.MissingIf(err == nil && (merr != nil || port.Master != master), "port "+g.port()+" in bridge", g.Bridge)
	return errors.Join(d.Err(), err, g.vlans().Check(s), g.checkRules(s, link))
}

func (g VlanGateway) checkRules(s *plan.Session, link *netlink.Link) error {
	if _, err := s.Rules(); errors.Is(err, nft.ErrUnsupported) {
		return nil
	}
	return s.CheckChains(ruleset.VlanGatewayChain(g.Bridge, g.VID, link.MAC))
}

func (g VlanGateway) String() string {
	mtu := when(g.MTU > 0, " mtu %d", g.MTU)
	return fmt.Sprintf("ip link add %s master %s type veth peer name %s address %s\n%s\nip link set %s up%s group %d\nip link set %s up%s group %d\n%s",
		g.port(), g.Bridge, g.name(), gatewayMAC(g.name()), g.vlans(), g.port(), mtu, g.group(g.port()), g.name(), mtu, g.group(g.name()),
		ruleset.VlanGatewayChain(g.Bridge, g.VID, gatewayMAC(g.name())))
}
