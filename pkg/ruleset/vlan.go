package ruleset

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/nft/strangers"
)

// vlanPrefix begins the names of VlanGatewayChains.
const vlanPrefix = "vlan-"

// VlanGatewayChain hides from connection tracking the frames on their way between a
// container and its VLAN's gateway link. With bridge-nf-call-iptables they meet the
// hooks as bridged packets first; a connection that is known by then would not be
// translated any more where the packets are routed (nf_nat_inet_fn binds it once).
func VlanGatewayChain(bridge string, vid uint16, mac net.HardwareAddr) nft.Chain {
	c := nft.Named(fmt.Sprintf("%s%s.%d", vlanPrefix, bridge, vid), []nft.Rule{
		nft.NewRule("bridged on the way to the gateway of the VLAN", nft.Iifname(bridge), nft.Hardware(nft.EtherDaddr, mac), nft.Notrack()),
		nft.NewRule("bridged on the way from the gateway of the VLAN", nft.Iifname(bridge), nft.Hardware(nft.EtherSaddr, mac), nft.Notrack()),
	})
	c.Hook = raw()
	return c
}

// isVlan says whether the chain is a VlanGatewayChain, which stays until its bridge goes.
func isVlan(chain string) bool { return strings.HasPrefix(chain, vlanPrefix) }

// RetireBridge deletes the rules of a bridge and of its VLANs' gateways. The caller has
// the lock of flock.Netns: who makes a bridge of the name anew finds nothing of the old one.
func RetireBridge(c *nft.Conn, bridge string) error {
	return errors.Join(
		strangers.Unaccept(c, bridge),
		c.DropIngress(ingress(bridge), nft.Loopback6(bridge)),
		c.DropChains(func(name string) bool {
			link, is := strings.CutPrefix(name, vlanPrefix)
			i := strings.LastIndexByte(link, '-')
			return is && i >= 0 && nft.OfBridge(link[:i], bridge)
		}))
}

// Retire deletes each of our tables if no attachment and no VLAN's gateway is left in it.
// needed says which of them, in families inet and bridge, is to stay for its rules alone.
// It is asked under the lock of flock.Netns.
func Retire(c *nft.Conn, needed func() (base, link bool, err error)) error {
	return c.Retire(needed, isVlan)
}
