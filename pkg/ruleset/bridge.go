package ruleset

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/nft/strangers"
)

// A reply to [::1]:hostPort comes back through the bridge, and the kernel takes packets for ::1 from
// lo only. A second local route for ::1 through the bridge lifts that for routed packets. Under
// br_netfilter the kernel translates the reply back on the bridge, and ip6_rcv drops it there (RFC
// 4291, section 2.5.3). So Loop6Chain marks such a reply, and ingress's chain hands it to lo. Nothing
// else gets in: ip6_rcv drops frames for ::1 before prerouting, and marks do not cross namespaces.

// replyMark is a bit that kube-proxy (0x4000, 0x8000), Calico and Cilium do not use.
const replyMark = 0x00800000

// loop6Set has the bridges whose replies to ::1 are marked.
const loop6Set = "loopback6"

// Loop6Chain marks the replies, in family inet. Each packet meets it: the first bridge brings it.
func Loop6Chain() nft.Chain {
	return nft.Chain{
		Name: loop6Set,
		Hook: &nft.Hook{Type: "filter", Name: "prerouting", Priority: natPriority + 1},
		Rules: []nft.Rule{
			nft.NewRule("replies to [::1]:hostPort, which br_netfilter has translated on the bridge",
				nft.IifnameIn(loop6Set), nft.Daddr(netip.MustParsePrefix("::1/128")), nft.ReplyToSnat(), nft.SetMark(replyMark)),
		},
	}
}

// ingress hands a bridge's marked replies to lo.
func ingress(bridge string) nft.Chain {
	return nft.Chain{
		Name: loop6Set + "-" + bridge, Family: nft.Netdev,
		Hook:  &nft.Hook{Type: "filter", Name: "ingress", Device: bridge, PriorityName: "filter"},
		Rules: []nft.Rule{nft.NewRule("replies to [::1]:hostPort go to lo", nft.DupToLoopback(replyMark))},
	}
}

// Loop6 makes [::1]:hostPort work through a bridge under br_netfilter. fresh says that the bridge is
// new: an existing chain at the ingress of an older bridge of the name is bound to nothing.
func Loop6(c *nft.Conn, bridge string, fresh bool) error {
	own := ingress(bridge)
	own.Anew = fresh
	// GC of another network may have deleted the table since it was made: Base again.
	return c.Add(nft.Change{
		Blocks: []nft.Block{Base()}, Chains: []nft.Chain{Loop6Chain(), own},
		Elements: []nft.Element{nft.Loopback6(bridge)},
	})
}

// Loop6Text is the nft(8) commands of Loop6.
func Loop6Text(bridge string) string {
	return Loop6Chain().String() + "\n" + nft.Loopback6(bridge).String() + "\n" + ingress(bridge).String()
}

// HasLoop6 says whether Loop6 was done.
func HasLoop6(c *nft.Conn, bridge string) (bool, error) {
	have, err := c.Has(ingress(bridge))
	if err != nil || !have {
		return false, err
	}
	_, marked, err := c.Find(nft.Loopback6(bridge))
	return marked, err
}

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
		c.DropChains(nft.Inet, func(name string) bool {
			link, is := strings.CutPrefix(name, vlanPrefix)
			i := strings.LastIndexByte(link, '-')
			return is && i >= 0 && nft.OfBridge(link[:i], bridge)
		}))
}

// Retire is nft's Retire; the chain of a VLAN's gateway keeps its table.
func Retire(c *nft.Conn, needed func() (base, frames bool, err error)) error {
	return c.Retire(needed, func(chain string) bool { return strings.HasPrefix(chain, vlanPrefix) })
}
