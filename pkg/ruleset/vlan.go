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

// VlanGatewayChain hides frames between a container and its VLAN's gateway link from connection
// tracking. With bridge-nf-call-iptables such frames first meet the hooks as bridged packets. A
// connection that the kernel tracks by then would not be translated where the packets are routed
// (nf_nat_inet_fn binds it once).
func VlanGatewayChain(bridge string, vid uint16, mac net.HardwareAddr) nft.Chain {
	c := nft.Named(fmt.Sprintf("%s%s.%d", vlanPrefix, bridge, vid), []nft.Rule{
		nft.NewRule("bridged on the way to the gateway of the VLAN", nft.Iifname(bridge), nft.Hardware(nft.EtherDaddr, mac), nft.Notrack()),
		nft.NewRule("bridged on the way from the gateway of the VLAN", nft.Iifname(bridge), nft.Hardware(nft.EtherSaddr, mac), nft.Notrack()),
	})
	c.Hook = raw()
	return c
}

// RetireBridge deletes the rules of a bridge and of its VLANs' gateways. The caller must have the lock
// of flock.Netns, so that a new bridge of the name finds nothing of the old one.
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

// Retire is nft's Retire; the chain of a VLAN's gateway keeps its table.
func Retire(c *nft.Conn, needed func() (base, frames bool, err error)) error {
	return c.Retire(needed, func(chain string) bool { return strings.HasPrefix(chain, vlanPrefix) })
}
