package portmap

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// maxPorts bounds what one attachment may publish: more would hold the lock for
// longer than a runtime waits.
const maxPorts = 20000

// Conf is the configuration, parsed and valid.
type Conf struct {
	SNAT     bool
	MasqAll  bool
	Mappings []Mapping
	wishes   map[wish]Mapping
}

// Mapping is one wish of the runtime.
type Mapping struct {
	HostIP        netip.Addr // invalid: every address of the host, of both families
	HostPort      uint16
	ContainerPort uint16
	Protocol      uint8
	key           string // where it stands in the configuration
}

// wire is the configuration as JSON has it. Keys are spelled as the reference's.
type wire struct {
	Backend              *string   `json:"backend"`
	SNAT                 *bool     `json:"snat"`
	MasqAll              bool      `json:"masqAll"`
	MarkMasqBit          *int      `json:"markMasqBit"`
	ExternalSetMarkChain *string   `json:"externalSetMarkChain"`
	ConditionsV4         *[]string `json:"conditionsV4"`
	ConditionsV6         *[]string `json:"conditionsV6"`
	RuntimeConfig        struct {
		PortMappings []wireMapping `json:"portMappings"`
	} `json:"runtimeConfig"`
}

type wireMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP"`
}

// parse reads and checks the whole configuration, before anything is changed.
func parse(req *cni.Request) (*Conf, error) {
	var w wire
	if err := cni.Decode(req.Config, &w); err != nil {
		return nil, err
	}
	if err := w.unsupported(); err != nil {
		return nil, err
	}
	c := &Conf{SNAT: w.SNAT == nil || *w.SNAT, MasqAll: w.MasqAll, wishes: make(map[wish]Mapping)}
	if n := len(w.RuntimeConfig.PortMappings); n > maxPorts {
		return nil, cni.Errorf(cni.CodeConfig, "runtimeConfig.portMappings: %d mappings, one attachment may have %d", n, maxPorts)
	}
	for i, m := range w.RuntimeConfig.PortMappings {
		key := fmt.Sprintf("runtimeConfig.portMappings[%d]", i)
		mapping, err := m.parse(key)
		if err != nil {
			return nil, cni.Errorf(cni.CodeConfig, "%s.%w", key, err)
		}
		if err := c.add(mapping); err != nil {
			return nil, cni.WithCode(cni.CodeConfig, err)
		}
	}
	return c, nil
}

// wish is what may be asked for only once.
type wish struct {
	hostIP   netip.Addr
	protocol uint8
	hostPort uint16
}

// add takes the mapping in, unless it says again what another says.
func (c *Conf) add(m Mapping) error {
	w := wish{m.HostIP, m.Protocol, m.HostPort}
	o, again := c.wishes[w]
	if again && o.ContainerPort != m.ContainerPort {
		return fmt.Errorf("%s.hostPort: %d/%s leads to port %d already, by %s", m.key, m.HostPort, nft.ProtocolName(m.Protocol), o.ContainerPort, o.key)
	}
	if !again {
		c.wishes[w] = m
		c.Mappings = append(c.Mappings, m)
	}
	return nil
}

// unsupported names what this version does not do, instead of leaving it out
// silently.
func (w *wire) unsupported() error {
	switch {
	case w.Backend != nil && *w.Backend != "nftables" && *w.Backend != "iptables":
		return cni.Errorf(cni.CodeConfig, "backend: %q is neither \"nftables\" nor \"iptables\"", *w.Backend)
	case w.Backend != nil && *w.Backend == "iptables":
		return cni.Errorf(cni.CodeField, "backend: \"iptables\" is not supported: use \"nftables\" or leave the key out")
	case w.MarkMasqBit != nil:
		return cni.Errorf(cni.CodeField, "markMasqBit: %d needs the iptables backend, which is not supported: remove the key, no mark is used", *w.MarkMasqBit)
	case w.ExternalSetMarkChain != nil:
		return cni.Errorf(cni.CodeField, "externalSetMarkChain: %q needs the iptables backend, which is not supported: remove the key", *w.ExternalSetMarkChain)
	case w.ConditionsV4 != nil && len(*w.ConditionsV4) > 0:
		return cni.Errorf(cni.CodeField, "conditionsV4: %q is not supported: remove the key", *w.ConditionsV4)
	case w.ConditionsV6 != nil && len(*w.ConditionsV6) > 0:
		return cni.Errorf(cni.CodeField, "conditionsV6: %q is not supported: remove the key", *w.ConditionsV6)
	}
	return nil
}

// parse turns text into types. Nothing of it reaches the kernel as text.
func (w wireMapping) parse(key string) (Mapping, error) {
	m := Mapping{key: key}
	var ok bool
	if m.HostPort, ok = port(w.HostPort); !ok {
		return m, fmt.Errorf("hostPort: %d is outside 1-65535", w.HostPort)
	}
	if m.ContainerPort, ok = port(w.ContainerPort); !ok {
		return m, fmt.Errorf("containerPort: %d is outside 1-65535", w.ContainerPort)
	}
	name := strings.ToLower(w.Protocol)
	if name == "" {
		name = "tcp"
	}
	if m.Protocol, ok = nft.Protocol(name); !ok {
		return m, fmt.Errorf("protocol: %q is none of tcp, udp, sctp", w.Protocol)
	}
	if w.HostIP == "" {
		return m, nil
	}
	ip, err := netip.ParseAddr(w.HostIP)
	if err != nil || ip.Zone() != "" {
		return m, fmt.Errorf("hostIP: %q is not an IP address; leave it out for every address of the host", w.HostIP)
	}
	m.HostIP = ip.Unmap()
	return m, nil
}

func port(n int) (uint16, bool) { return uint16(n), n >= 1 && n <= 65535 }

// containerAddresses are the attachment's addresses in a result: those of
// CNI_IFNAME, and those that name no interface.
func containerAddresses(prev *current.Result, ifName string) []netip.Prefix {
	var list []netip.Prefix
	for _, ip := range prev.IPs {
		if i := ip.Interface; i != nil && *i >= 0 && *i < len(prev.Interfaces) {
			if link := prev.Interfaces[*i]; link.Name != ifName || link.Sandbox == "" {
				continue
			}
		}
		if p := cni.Prefix(ip.Address); p.IsValid() {
			list = append(list, p)
		}
	}
	return list
}

// ports combines the wishes with the container's addresses: the first of each
// family is the target.
func (c *Conf) ports(addrs []netip.Prefix) ([]kernel.Port, error) {
	targets := make(map[bool]netip.Addr)
	for _, a := range addrs {
		if is4 := a.Addr().Is4(); !targets[is4].IsValid() {
			targets[is4] = a.Addr()
		}
	}
	var list []kernel.Port
	for _, m := range c.Mappings {
		found := false
		for _, is4 := range []bool{true, false} {
			to := targets[is4]
			if !to.IsValid() || m.HostIP.IsValid() && m.HostIP.Is4() != is4 {
				continue
			}
			found = true
			list = append(list, kernel.Port{
				HostIP: m.HostIP, Protocol: m.Protocol, HostPort: m.HostPort,
				Container: netip.AddrPortFrom(to, m.ContainerPort),
			})
		}
		if !found {
			return nil, cni.Errorf(cni.CodeConfig, "%s.hostIP: %s: the container has no address of that family: use a hostIP of the other, or none", m.key, m.HostIP)
		}
	}
	return list, nil
}

// tolerantMappings is what DEL reads of a configuration that may be wrong; what it
// can't read is found by the owner.
func tolerantMappings(config []byte) []Mapping {
	var w struct {
		RuntimeConfig struct {
			PortMappings []json.RawMessage `json:"portMappings"`
		} `json:"runtimeConfig"`
	}
	_ = json.Unmarshal(config, &w)
	var list []Mapping
	for _, raw := range w.RuntimeConfig.PortMappings {
		var m wireMapping
		if json.Unmarshal(raw, &m) != nil {
			continue
		}
		if mapping, err := m.parse(""); err == nil {
			list = append(list, mapping)
		}
	}
	return list
}
