package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"net"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// vlanAlias begins the aliases of both ends of a VLAN's gateway link; the bridge's
// name follows.
const vlanAlias = bridgeAlias + " vlan gateway of"

// VlanGatewayName is the link that has the gateway addresses of a VLAN.
func VlanGatewayName(bridge string, vid uint16) string { return fmt.Sprintf("%s.%d", bridge, vid) }

// VlanGateway is the host's own place in a VLAN of the bridge: a veth pair whose one
// end is a port in the VLAN and whose other has the gateway's addresses. It is shared,
// and goes with the bridge.
type VlanGateway struct {
	Bridge string
	VID    uint16
	MTU    int // bytes; 0 leaves the kernel's default
}

func (g VlanGateway) name() string { return VlanGatewayName(g.Bridge, g.VID) }

// port is the name of the end in the bridge.
func (g VlanGateway) port() string { return "veth" + digest("vlan gateway", g.name())[:11] }

// Facts are the address and MTU of the host's end. For a missing one they are what
// it will have.
func (g VlanGateway) Facts(h *Host) (Facts, error) {
	link, err := h.rt.Link(g.name())
	if errors.Is(err, netlink.ErrNoLink) {
		return Facts{MAC: g.mac(), MTU: g.MTU}, nil
	}
	if err != nil {
		return Facts{}, fmt.Errorf("vlan gateway %s: %w", g.name(), err)
	}
	return Facts{MAC: link.MAC, MTU: link.MTU}, nil
}

func (g VlanGateway) mac() net.HardwareAddr { return gatewayMAC(g.name()) }

func gatewayMAC(link string) net.HardwareAddr { return hardwareAddr("vlan gateway", machine(), link) }

// Add makes the pair unless it exists, and finishes one of ours that is not as it
// should be. Somebody else's is used as it is.
func (g VlanGateway) Add(h *Host) error {
	link, err := h.rt.Link(g.name())
	if errors.Is(err, netlink.ErrNoLink) || err == nil && !g.complete(link) {
		err = locked(func() error {
			link, err = g.make(h)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("vlan gateway %s: %w", g.name(), err)
	}
	h.index[g.name()] = link.Index
	h.queue.Base = true
	h.queue.Chains = append(h.queue.Chains, nft.VlanGatewayChain(g.Bridge, g.VID, link.MAC))
	return g.withoutRules(h)
}

func (g VlanGateway) complete(link *netlink.Link) bool {
	return link.Kind == "veth" && link.Up && link.Alias == g.alias() && (g.MTU == 0 || link.MTU == g.MTU)
}

func (g VlanGateway) make(h *Host) (*netlink.Link, error) {
	if err := g.create(h); err != nil {
		return nil, err
	}
	link, err := h.rt.Link(g.name())
	if err != nil {
		return nil, err
	}
	if link.Kind != "veth" {
		return nil, fmt.Errorf("a link of this name exists and is not a veth but %s: remove it or use another bridge: %w", kindText(link.Kind), ErrConflict)
	}
	// The name is a digest, so the port is ours if it exists.
	if _, err := h.rt.Link(g.port()); errors.Is(err, netlink.ErrNoLink) || err == nil && g.complete(link) {
		return link, nil
	} else if err != nil {
		return nil, err
	}
	return link, g.finish(h)
}

// withoutRules lets kernels without nf_tables have VLANs, too.
func (g VlanGateway) withoutRules(h *Host) error {
	if _, err := h.Rules(); !errors.Is(err, nft.ErrUnsupported) {
		return err
	}
	h.queue.Base, h.queue.Chains = false, nil
	return nil
}

func (g VlanGateway) create(h *Host) error {
	req := netlink.LinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, g.port(), false)
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, hardwareAddr("vlan gateway port", machine(), g.name())))
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(h.index[g.Bridge]))))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(g.name()))
	peer.AddRtAttr(unix.IFLA_ADDRESS, g.mac())
	req.AddData(info)
	h.rt.Queue(req, "create")
	if err := h.rt.Flush(); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// finish sets what the pair lacks: the rest of it after its creation, or another MTU.
func (g VlanGateway) finish(h *Host) error {
	// First, or frames of VLAN 1 would pass for a moment.
	if err := g.vlans().Add(h); err != nil {
		return errors.Join(err, h.rt.DeleteLink(g.port()))
	}
	for _, name := range []string{g.port(), g.name()} {
		up := netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, true)
		up.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(g.alias())))
		if g.MTU > 0 {
			up.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(g.MTU))))
		}
		h.rt.Queue(up, "link %s: set up", name)
	}
	refuse := func(name, key, value string) error {
		return Sysctl{Key: "net/ipv6/conf/" + name + "/" + key, Value: value, Optional: true}.Add(h)
	}
	return errors.Join(refuse(g.name(), "accept_ra", "0"), refuse(g.port(), "disable_ipv6", "1"), h.rt.Flush())
}

func (g VlanGateway) alias() string { return vlanAlias + " " + g.Bridge }

// gatewayOf says whether the link is an end of a VLAN's gateway that we made for the
// bridge, or of one whose making was cut short.
func gatewayOf(l *netlink.Link, bridge string) bool {
	if l.Alias == vlanAlias+" "+bridge {
		return true
	}
	return l.Alias == "" && l.Kind == "veth" && nft.OfBridge(l.Name, bridge) && bytes.Equal(l.MAC, gatewayMAC(l.Name))
}

func (g VlanGateway) vlans() Vlans { return Vlans{Link: g.port(), PVID: g.VID} }

// Check compares kind and state of both ends, and the VLAN.
func (g VlanGateway) Check(h *Host) error {
	d := &Drift{Object: "vlan gateway " + g.name()}
	link, err := h.rt.Link(g.name())
	if errors.Is(err, netlink.ErrNoLink) {
		d.missing("link", g.name())
		return d
	}
	if err != nil {
		return fmt.Errorf("vlan gateway %s: %w", g.name(), err)
	}
	h.index[g.name()] = link.Index
	d.want("kind", "veth", link.Kind)
	d.want("state", "up", upText(link.Up))
	if link.Alias != g.alias() {
		return d.err() // somebody else's
	}
	if g.MTU > 0 {
		d.want("mtu", g.MTU, link.MTU)
	}
	port, err := h.rt.Link(g.port())
	if err == nil && port.Master != h.index[g.Bridge] {
		d.missing("port "+g.port()+" in bridge", g.Bridge)
	}
	return errors.Join(d.err(), err, g.vlans().Check(h), g.checkRules(h, link))
}

func (g VlanGateway) checkRules(h *Host, link *netlink.Link) error {
	if _, err := h.Rules(); errors.Is(err, nft.ErrUnsupported) {
		return nil
	}
	return checkChains(h, nft.VlanGatewayChain(g.Bridge, g.VID, link.MAC))
}

// Del keeps the pair: it is shared.
func (g VlanGateway) Del(*Host) error { return nil }

func (g VlanGateway) String() string {
	mtu := ""
	if g.MTU > 0 {
		mtu = fmt.Sprintf(" mtu %d", g.MTU)
	}
	return fmt.Sprintf("ip link add %s master %s type veth peer name %s address %s\n%s\nip link set %s up%s\nip link set %s up%s\n%s",
		g.port(), g.Bridge, g.name(), g.mac(), g.vlans(), g.port(), mtu, g.name(), mtu, nft.VlanGatewayChain(g.Bridge, g.VID, g.mac()))
}
