package bridge

import (
	"encoding/json"
	"net"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/containernetworking/cni/pkg/types"
)

const (
	defaultBridge = "cni0"
	// minMTU4 is what IPv4 needs (RFC 791).
	minMTU4 = 68
	maxMTU  = 65535 // ETH_MAX_MTU
)

// Conf is the configuration, parsed and valid.
type Conf struct {
	Bridge           string
	IsGateway        bool
	IsDefaultGateway bool
	ForceAddress     bool
	IPMasq           bool
	MTU              int // bytes; 0 takes the bridge's
	Hairpin          bool
	Promisc          bool
	Isolated         bool
	DAD              bool
	IfDown           bool
	KeepIPv6         bool
	DNS              types.DNS
	IPAM             string           // the plugin's name; "" for layer 2 only
	MAC              net.HardwareAddr // the container's; nil to choose one
}

// wire is the configuration as JSON has it. Keys are spelled as the reference's.
type wire struct {
	Bridge                    *string         `json:"bridge"`
	IsGateway                 bool            `json:"isGateway"`
	IsDefaultGateway          bool            `json:"isDefaultGateway"`
	ForceAddress              bool            `json:"forceAddress"`
	IPMasq                    bool            `json:"ipMasq"`
	IPMasqBackend             *string         `json:"ipMasqBackend"`
	MTU                       int             `json:"mtu"`
	HairpinMode               bool            `json:"hairpinMode"`
	PromiscMode               bool            `json:"promiscMode"`
	Vlan                      int             `json:"vlan"`
	VlanTrunk                 json.RawMessage `json:"vlanTrunk"`
	MacSpoofChk               bool            `json:"macspoofchk"`
	EnableDad                 bool            `json:"enabledad"`
	DisableContainerInterface bool            `json:"disableContainerInterface"`
	PortIsolation             bool            `json:"portIsolation"`
	EnableIPv6LinkLocal       bool            `json:"enableIPv6LinkLocal"`
	DNS                       types.DNS       `json:"dns"`
	IPAM                      struct {
		Type string `json:"type"`
	} `json:"ipam"`
	RuntimeConfig struct {
		MAC string `json:"mac"`
	} `json:"runtimeConfig"`
	Args struct {
		CNI struct {
			MAC string `json:"mac"`
		} `json:"cni"`
	} `json:"args"`
}

// parse reads and checks the whole configuration, before anything is changed.
func parse(req *cni.Request) (*Conf, error) {
	var w wire
	if err := cni.Decode(req.Config, &w); err != nil {
		return nil, err
	}
	c := &Conf{
		Bridge: defaultBridge, IsGateway: w.IsGateway || w.IsDefaultGateway, IsDefaultGateway: w.IsDefaultGateway,
		ForceAddress: w.ForceAddress, IPMasq: w.IPMasq, MTU: w.MTU, Hairpin: w.HairpinMode, Promisc: w.PromiscMode,
		Isolated: w.PortIsolation, DAD: w.EnableDad, IfDown: w.DisableContainerInterface,
		KeepIPv6: w.EnableIPv6LinkLocal, DNS: w.DNS, IPAM: w.IPAM.Type,
	}
	if w.Bridge != nil {
		c.Bridge = *w.Bridge
	}
	if err := w.unsupported(); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	var err error
	c.MAC, err = w.mac(req.Args)
	return c, err
}

func (c *Conf) check() error {
	if err := cni.CheckLinkName(c.Bridge); err != nil {
		return cni.Errorf(cni.CodeConfig, "bridge: %w", err)
	}
	if c.MTU != 0 && (c.MTU < minMTU4 || c.MTU > maxMTU) {
		return cni.Errorf(cni.CodeConfig, "mtu: %d is outside %d-%d bytes; 0 or none takes the bridge's", c.MTU, minMTU4, maxMTU)
	}
	if c.Hairpin && c.Promisc {
		return cni.Errorf(cni.CodeConfig, "hairpinMode: cannot be true together with promiscMode, frames would arrive twice: use hairpinMode alone")
	}
	if c.IPAM != "" && c.IfDown {
		return cni.Errorf(cni.CodeConfig, "disableContainerInterface: cannot use IPAM when it is true, a link that is down has no use for addresses: remove it or \"ipam\"")
	}
	return nil
}

// unsupported names what this version does not do, instead of leaving it out
// silently.
func (w *wire) unsupported() error {
	switch {
	case w.IPMasqBackend != nil && *w.IPMasqBackend != "nftables" && *w.IPMasqBackend != "iptables":
		return cni.Errorf(cni.CodeConfig, "ipMasqBackend: %q is neither \"nftables\" nor \"iptables\"", *w.IPMasqBackend)
	case w.IPMasqBackend != nil && *w.IPMasqBackend == "iptables":
		return cni.Errorf(cni.CodeField, "ipMasqBackend: \"iptables\" is not supported: use \"nftables\" or leave the key out")
	case w.Vlan != 0:
		return cni.Errorf(cni.CodeField, "vlan: %d: VLANs are not supported: remove the key", w.Vlan)
	case len(w.VlanTrunk) > 0 && string(w.VlanTrunk) != "null":
		return cni.Errorf(cni.CodeField, "vlanTrunk: %s: VLANs are not supported: remove the key", w.VlanTrunk)
	case w.MacSpoofChk:
		return cni.Errorf(cni.CodeField, "macspoofchk: true is not supported: remove the key")
	}
	return nil
}

// mac chooses the container's address: the runtime's before the user's in "args",
// that before CNI_ARGS.
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
