package kernel

import (
	"errors"
	"fmt"

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

// MAC is the address of the host's end.
func (g VlanGateway) MAC() string { return hardwareAddr("vlan gateway", machine(), g.name()).String() }

// Add makes the pair unless it exists. Two first ADDs at once find each other's.
func (g VlanGateway) Add(h *Host) error {
	link, err := h.rt.Link(g.name())
	if errors.Is(err, errNoLink) {
		if err = g.create(h); err == nil {
			link, err = h.rt.Link(g.name())
		}
	}
	if err != nil {
		return fmt.Errorf("vlan gateway %s: %w", g.name(), err)
	}
	if link.Kind != "veth" {
		return fmt.Errorf("vlan gateway %s: a link of this name exists and is not a veth but %s: remove it or use another bridge: %w",
			g.name(), kindText(link.Kind), ErrConflict)
	}
	h.index[g.name()] = link.Index
	return nil
}

func (g VlanGateway) create(h *Host) error {
	req := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, g.port(), true)
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, hardwareAddr("vlan gateway port", machine(), g.name())))
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(h.index[g.Bridge]))))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(g.name()))
	peer.AddRtAttr(unix.IFLA_ADDRESS, hardwareAddr("vlan gateway", machine(), g.name()))
	if g.MTU > 0 {
		mtu := nl.Uint32Attr(uint32(g.MTU))
		req.AddData(nl.NewRtAttr(unix.IFLA_MTU, mtu))
		peer.AddRtAttr(unix.IFLA_MTU, mtu)
	}
	req.AddData(info)
	h.rt.Queue(req, "create")
	for _, name := range []string{g.port(), g.name()} {
		up := linkRequest(unix.RTM_NEWLINK, 0, name, true)
		up.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(vlanAlias+" "+g.Bridge)))
		h.rt.Queue(up, "set up")
	}
	if err := h.rt.Flush(); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	if err := g.vlans().Add(h); err != nil {
		return errors.Join(err, h.deleteLink(g.name()))
	}
	refuse := func(name, key, value string) error {
		return Sysctl{Key: "net/ipv6/conf/" + name + "/" + key, Value: value, Optional: true}.Add(h)
	}
	return errors.Join(refuse(g.name(), "accept_ra", "0"), refuse(g.port(), "disable_ipv6", "1"))
}

func (g VlanGateway) vlans() Vlans { return Vlans{Link: g.port(), PVID: g.VID} }

// Check compares kind and state of both ends, and the VLAN.
func (g VlanGateway) Check(h *Host) error {
	d := &Drift{Object: "vlan gateway " + g.name()}
	link, err := h.rt.Link(g.name())
	if errors.Is(err, errNoLink) {
		d.missing("link", g.name())
		return d
	}
	if err != nil {
		return fmt.Errorf("vlan gateway %s: %w", g.name(), err)
	}
	h.index[g.name()] = link.Index
	d.want("kind", "veth", link.Kind)
	d.want("state", "up", upText(link.Up))
	return errors.Join(d.err(), g.vlans().Check(h))
}

// Del keeps the pair: it is shared.
func (g VlanGateway) Del(*Host) error { return nil }

func (g VlanGateway) String() string {
	return fmt.Sprintf("ip link add %s master %s up type veth peer name %s\nip link set %s up\n%s",
		g.port(), g.Bridge, g.name(), g.name(), g.vlans())
}
