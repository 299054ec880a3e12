package bridge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/containernetworking/cni/pkg/types"
)

const (
	defaultBridge = "cni0"
	minMTU        = 68    // what IPv4 needs (RFC 791)
	minMTU6       = 1280  // what IPv6 needs (RFC 8200, section 5)
	maxMTU        = 65535 // ETH_MAX_MTU
	maxVlan       = 4094
)

// switches are the keys that need no parsing.
type switches struct {
	IsGateway                 bool      `json:"isGateway"` // in Conf also with isDefaultGateway or gateways
	IsDefaultGateway          bool      `json:"isDefaultGateway"`
	ForceAddress              bool      `json:"forceAddress"`
	IPMasq                    bool      `json:"ipMasq"`
	HairpinMode               bool      `json:"hairpinMode"`
	PromiscMode               bool      `json:"promiscMode"`
	PreserveDefaultVlan       bool      `json:"preserveDefaultVlan"`
	MacSpoofChk               bool      `json:"macspoofchk"` // in Conf also with ipspoofchk
	IPSpoofChk                bool      `json:"ipspoofchk"`
	ControlFrames             bool      `json:"controlFrames"`  // the container may send what switches, routers and DHCP servers do
	IsolateFromLan            bool      `json:"isolateFromLan"` // only the own bridge reaches the containers' addresses
	MaxConnections            int       `json:"maxConnections"` // at once, that the container may open with each address; 0 for any number
	EnableDad                 bool      `json:"enabledad"`
	DisableContainerInterface bool      `json:"disableContainerInterface"`
	PortIsolation             bool      `json:"portIsolation"`
	EnableIPv6LinkLocal       bool      `json:"enableIPv6LinkLocal"`
	NoDefaultRoute            bool      `json:"noDefaultRoute"`
	ForwardAccept             bool      `json:"forwardAccept"`
	RouteMetric               int       `json:"routeMetric"` // of routes that name none; 0 leaves the kernel's default
	DNS                       types.DNS `json:"dns"`
}

// Conf is the configuration, parsed and valid.
type Conf struct {
	switches
	Bridge            string
	Gateways          []netip.Prefix // the bridge's addresses, where no IPAM plugin names any
	IPTables          bool           // masquerade by the compatible backend
	MasqueradeExclude []netip.Prefix // destinations that see the container's address
	MTU               int            // bytes; 0 takes the bridge's
	AutoMTU           bool           // ADD and CHECK take the MTU of the host's way out
	Vlan              uint16         // of untagged frames; 0 for none
	VlanTrunk         []link.VlanRange
	Vlans             bool             // the bridge tells VLANs apart
	IPAM              string           // the plugin's name; "" for layer 2 only
	MAC               net.HardwareAddr // the container's; nil to choose one
	Isolation         firewall.Isolation
	Egress            *egress  // where the container may send; nil for anywhere
	resolvers         []string // that the runtime gives the container
}

// wire is the configuration as JSON has it. Keys are spelled as the reference's.
type wire struct {
	switches
	Bridge            *string      `json:"bridge"`
	Gateways          []string     `json:"gateways"`
	IPMasqBackend     *string      `json:"ipMasqBackend"`
	MasqueradeExclude []string     `json:"masqueradeExclude"`
	MTU               wireMTU      `json:"mtu"`
	Vlan              int          `json:"vlan"`
	VlanTrunk         []*wireTrunk `json:"vlanTrunk"`
	Isolation         string       `json:"isolation"`
	Egress            *wireEgress  `json:"egress"`
	IPAM              struct {
		Type string `json:"type"`
	} `json:"ipam"`
	RuntimeConfig struct {
		MAC    string      `json:"mac"`
		Egress *wireEgress `json:"egress"`
		DNS    struct {
			Servers []string `json:"servers"`
		} `json:"dns"`
	} `json:"runtimeConfig"`
	Args struct {
		CNI struct {
			MAC    string      `json:"mac"`
			Egress *wireEgress `json:"egress"`
		} `json:"cni"`
	} `json:"args"`
}

// wireMTU is a number of bytes, or "auto".
type wireMTU struct {
	bytes int
	auto  bool
}

// UnmarshalJSON takes a number or the word.
func (m *wireMTU) UnmarshalJSON(data []byte) error {
	if string(data) == `"auto"` {
		m.auto = true
		return nil
	}
	if err := json.Unmarshal(data, &m.bytes); err != nil {
		return cni.Errorf(cni.CodeDecode, "mtu: wants a whole number of bytes or \"auto\", but has %s", data)
	}
	return nil
}

// Read reads and checks the whole configuration, before anything is changed.
func Read(req *cni.Request) (*Conf, error) {
	var w wire
	if err := req.Decode(&w); err != nil {
		return nil, err
	}
	c := &Conf{
		switches: w.switches, Bridge: defaultBridge, MTU: w.MTU.bytes, AutoMTU: w.MTU.auto, IPAM: w.IPAM.Type,
		resolvers: w.RuntimeConfig.DNS.Servers,
	}
	c.IsGateway = c.IsGateway || c.IsDefaultGateway
	c.MacSpoofChk = c.MacSpoofChk || c.IPSpoofChk
	if w.Bridge != nil {
		c.Bridge = *w.Bridge
	}
	for _, step := range []func(*Conf) error{w.backend, w.isolation, w.egress, w.vlans, w.prefixes, (*Conf).check} {
		if err := step(c); err != nil {
			return nil, cni.WithCode(cni.CodeConfig, err)
		}
	}
	var err error
	c.MAC, err = w.mac(req.Args)
	return c, err
}

func (c *Conf) check() error {
	if err := cni.CheckLinkName(c.Bridge); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	for _, conflict := range []struct {
		found bool
		text  string
	}{
		{c.MTU != 0 && (c.MTU < minMTU || c.MTU > maxMTU), fmt.Sprintf("mtu: %d is outside %d-%d bytes; 0 or none takes the bridge's", c.MTU, minMTU, maxMTU)},
		{c.RouteMetric < 0 || c.RouteMetric > math.MaxInt32, fmt.Sprintf("routeMetric: %d is outside 0-%d", c.RouteMetric, math.MaxInt32)},
		{c.MaxConnections < 0 || c.MaxConnections > math.MaxInt32, fmt.Sprintf("maxConnections: %d is outside 0-%d; 0 or none is any number", c.MaxConnections, math.MaxInt32)},
		{c.Bridge == "all" || c.Bridge == "default", "bridge: \"" + c.Bridge + "\" is no name for a link, the kernel keeps settings of many links under it: use another name"},
		{c.HairpinMode && c.PromiscMode, "hairpinMode: cannot be true together with promiscMode, frames would arrive twice: use hairpinMode alone"},
		{c.NoDefaultRoute && c.IsDefaultGateway, "noDefaultRoute: cannot be true together with isDefaultGateway: remove one of them"},
		{c.IPAM != "" && c.DisableContainerInterface, "disableContainerInterface: cannot use IPAM when it is true, a link that is down has no use for addresses: remove it or \"ipam\""},
		{c.IPAM != "" && len(c.Gateways) > 0, "gateways: is for networks without ipam; with it the IPAM plugin names the gateway: remove one of them"},
		{c.IPAM == "" && (c.Egress != nil || c.Isolation != firewall.NotIsolated), "egress, isolation: need \"ipam\", they know containers by their addresses: add it or remove them"},
		{(c.Egress != nil || c.Isolation != firewall.NotIsolated) && len(c.VlanTrunk) > 0, "egress, isolation: cannot be used together with vlanTrunk, their rules do not see into tagged frames: remove one of them"},
		{c.Egress != nil && !c.IsGateway, "egress: needs isGateway or isDefaultGateway, behind another router the host sees no connections: add it or remove egress"},
		{c.IPAM == "" && c.IPSpoofChk, "ipspoofchk: needs \"ipam\", a layer 2 network has no addresses that a port could be bound to: add it or use macspoofchk"},
		{c.IPAM == "" && (c.IsolateFromLan || c.MaxConnections > 0), "isolateFromLan, maxConnections: need \"ipam\", they know containers by their addresses: add it or remove them"},
		{c.IPSpoofChk && len(c.VlanTrunk) > 0, "ipspoofchk: cannot be true together with vlanTrunk, it drops tagged frames: remove one of them"},
	} {
		if conflict.found {
			return errors.New(conflict.text)
		}
	}
	if name := link.VlanGatewayName(c.Bridge, c.Vlan); c.Vlan != 0 && c.IsGateway && cni.CheckLinkName(name) != nil {
		return fmt.Errorf("bridge: %q with vlan %d makes the gateway's link %q, longer than the kernel's 15 characters: use a shorter name", c.Bridge, c.Vlan, name)
	}
	return nil
}

// routed says whether each container is a single station with addresses. On a layer 2
// network or a trunk it may be a switch, or have virtual machines.
func (c *Conf) routed() bool { return c.IPAM != "" && len(c.VlanTrunk) == 0 }

// dropsControl says whether the host drops what switches, routers and DHCP servers send.
func (c *Conf) dropsControl() bool { return c.routed() && !c.ControlFrames }

func (w *wire) backend(c *Conf) error {
	c.IPTables = w.IPMasqBackend != nil && *w.IPMasqBackend == "iptables"
	if w.IPMasqBackend != nil && !c.IPTables && *w.IPMasqBackend != "nftables" {
		return fmt.Errorf("ipMasqBackend: %q is neither \"nftables\" nor \"iptables\"", *w.IPMasqBackend)
	}
	return nil
}

func (w *wire) isolation(c *Conf) error {
	isolation, known := map[string]firewall.Isolation{
		"": firewall.NotIsolated, "none": firewall.NotIsolated, "network": firewall.IsolatedNetwork, "strict": firewall.IsolatedStrict,
	}[w.Isolation]
	if !known {
		return fmt.Errorf("isolation: %q is none of \"none\", \"network\", \"strict\"", w.Isolation)
	}
	c.Isolation = isolation
	if isolation != firewall.NotIsolated { // by addresses
		c.IPSpoofChk, c.MacSpoofChk = true, true
	}
	c.IsolateFromLan = c.IsolateFromLan || isolation == firewall.IsolatedStrict
	return nil
}

func (w *wire) prefixes(c *Conf) error {
	for i, text := range w.MasqueradeExclude {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("masqueradeExclude[%d]: %q is not a CIDR such as 10.244.0.0/16", i, text)
		}
		c.MasqueradeExclude = append(c.MasqueradeExclude, p.Masked())
	}
	for i, text := range w.Gateways {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.IsSingleIP() {
			return fmt.Errorf("gateways[%d]: %q is not an address with the length of its subnet, such as 10.88.0.1/16", i, text)
		}
		c.Gateways = append(c.Gateways, p)
		c.IsGateway = true
	}
	return nil
}

// mac is the container's MAC address: the runtime's, else of "args", else of CNI_ARGS, else nil.
func (w *wire) mac(args cni.Args) (net.HardwareAddr, error) {
	key, text, code := "runtimeConfig.mac", w.RuntimeConfig.MAC, uint(cni.CodeConfig)
	if text == "" {
		key, text = "args.cni.mac", w.Args.CNI.MAC
	}
	if text == "" {
		key, text, code = "CNI_ARGS MAC", args["MAC"], cni.CodeEnv
	}
	if text == "" {
		return nil, nil
	}
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		return nil, cni.Errorf(code, "%s: %q is not a MAC address such as 0a:58:0a:58:00:02", key, text)
	}
	if mac[0]&1 != 0 {
		return nil, cni.Errorf(code, "%s: %s is a multicast address, a link needs a unicast one (first byte even)", key, text)
	}
	if mac.String() == "00:00:00:00:00:00" {
		return nil, cni.Errorf(code, "%s: %s is no address for a link", key, text)
	}
	return mac, nil
}

// bridgeName is "bridge" of a configuration that may be wrong otherwise.
func bridgeName(req *cni.Request) string {
	var w struct {
		Bridge string `json:"bridge"`
	}
	_ = req.Decode(&w) // a wrong value names no bridge of ours
	return cmp.Or(w.Bridge, defaultBridge)
}

// wireTrunk is one entry of vlanTrunk: a single VLAN, a range, or both.
type wireTrunk struct {
	MinID *int `json:"minID"`
	MaxID *int `json:"maxID"`
	ID    *int `json:"id"`
}

// vlans parses vlan and vlanTrunk. An empty trunk makes the bridge tell VLANs apart, too.
func (w *wire) vlans(c *Conf) error {
	if w.Vlan < 0 || w.Vlan > maxVlan {
		return fmt.Errorf("vlan: invalid VLAN ID %d (must be between 0 and %d)", w.Vlan, maxVlan)
	}
	c.Vlan = uint16(w.Vlan)
	c.Vlans = w.Vlan != 0 || w.VlanTrunk != nil
	for i, t := range w.VlanTrunk {
		ranges, err := t.parse()
		if err != nil {
			return fmt.Errorf("vlanTrunk[%d]: %w", i, err)
		}
		c.VlanTrunk = append(c.VlanTrunk, ranges...)
	}
	return nil
}

func (t *wireTrunk) parse() ([]link.VlanRange, error) {
	if t == nil {
		return nil, fmt.Errorf("null is no VLAN: give {\"id\": 100} or {\"minID\": 100, \"maxID\": 200}")
	}
	if (t.MinID == nil) != (t.MaxID == nil) {
		return nil, fmt.Errorf("minID and maxID should be configured simultaneously")
	}
	var list []link.VlanRange
	for _, v := range []struct {
		name string
		id   *int
	}{{"minID", t.MinID}, {"maxID", t.MaxID}, {"id", t.ID}} {
		if v.id != nil && (*v.id < 1 || *v.id > maxVlan) {
			return nil, fmt.Errorf("%s: %d is outside 1-%d", v.name, *v.id, maxVlan)
		}
	}
	if t.MinID != nil {
		if *t.MinID > *t.MaxID {
			return nil, fmt.Errorf("minID: %d is greater than maxID %d", *t.MinID, *t.MaxID)
		}
		list = append(list, link.VlanRange{First: uint16(*t.MinID), Last: uint16(*t.MaxID)})
	}
	if t.ID != nil {
		list = append(list, link.VlanRange{First: uint16(*t.ID), Last: uint16(*t.ID)})
	}
	return list, nil
}

// port is the VLANs of the container's port; a trunk alone keeps VLAN 1 for untagged frames.
func (c *Conf) port(name string) link.Vlans {
	v := link.Vlans{Link: name, PVID: c.Vlan, Tagged: c.VlanTrunk, KeepDefault: c.PreserveDefaultVlan}
	if c.Vlan == 0 && !c.PreserveDefaultVlan {
		v.PVID = 1
	}
	return v
}
