package publish

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// maxPorts bounds what one attachment may publish: more would hold the lock for
// longer than a runtime waits.
const maxPorts = 20000

// Conf is the configuration, parsed and valid.
type Conf struct {
	SNAT     bool
	MasqAll  bool
	IPTables bool           // the compatible backend
	Rules    iptables.Ports // its options
	Mappings []Mapping
	// Conditions and MarkBits of packets, if nftables is the backend. No MarkBits are 0.
	Conditions4, Conditions6 []ruleset.Condition
	MarkBits                 uint32
	HostPortCheck            listenCheck
	wishes                   map[wish]Mapping
}

// Mapping is one entry of portMappings, without the container's address.
type Mapping struct {
	hostport.Mapping        // Range is at least 1
	key              string // runtimeConfig.portMappings[0]
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
	AllowFrom            *[]string `json:"allowFrom"`
	HostPortCheck        *string   `json:"hostPortCheck"`
	RuntimeConfig        struct {
		PortMappings []wireMapping `json:"portMappings"`
	} `json:"runtimeConfig"`
}

type wireMapping struct {
	HostPort      int       `json:"hostPort"`
	ContainerPort int       `json:"containerPort"`
	Protocol      string    `json:"protocol"`
	HostIP        string    `json:"hostIP"`
	Range         *int      `json:"range"`
	AllowFrom     *[]string `json:"allowFrom"`
}

// parse reads and checks the whole configuration, before anything is changed.
func parse(req *cni.Request) (*Conf, error) {
	var w wire
	if err := req.Decode(&w); err != nil {
		return nil, err
	}
	c := &Conf{SNAT: w.SNAT == nil || *w.SNAT, MasqAll: w.MasqAll, wishes: make(map[wish]Mapping)}
	err := w.backend(c)
	if err == nil {
		c.HostPortCheck, err = w.listenCheck()
	}
	if err == nil {
		err = w.mappings(c)
	}
	return c, cni.WithCode(cni.CodeConfig, err)
}

func (w *wire) mappings(c *Conf) error {
	allow, err := allowed("allowFrom", w.AllowFrom)
	if err != nil {
		return err
	}
	ports := 0
	for i, m := range w.RuntimeConfig.PortMappings {
		key := fmt.Sprintf("runtimeConfig.portMappings[%d]", i)
		mapping, err := m.parse(key)
		if err != nil {
			return fmt.Errorf("%s.%w", key, err)
		}
		if mapping.Allow, err = both(key+".allowFrom", allow, mapping.Allow); err != nil {
			return err
		}
		if ports += int(mapping.Range); ports > maxPorts {
			return fmt.Errorf("runtimeConfig.portMappings: more than %d ports, which one attachment may have: publish fewer", maxPorts)
		}
		if err := c.add(mapping); err != nil {
			return err
		}
	}
	return nil
}

// tolerantMappings are the mappings that DEL can read in a configuration that may be wrong.
// DEL finds all others by the owner.
func tolerantMappings(req *cni.Request) []Mapping {
	var list []Mapping
	for _, raw := range req.Tolerant().PortMappings {
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

// wish is one port of the host, which leads to one target only. The unspecified address of
// a family stands for all its addresses.
type wish struct {
	hostIP   netip.Addr
	protocol uint8
	hostPort uint16
}

func (m Mapping) wishes() []wish {
	hosts := []netip.Addr{m.HostIP}
	if !m.HostIP.IsValid() {
		hosts = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	var list []wish
	for _, host := range hosts {
		for i := range m.Range {
			list = append(list, wish{host, m.Protocol, m.HostPort + i})
		}
	}
	return list
}

// add ignores exact duplicates, and refuses mappings that contradict others.
func (c *Conf) add(m Mapping) error {
	known, wishes := 0, m.wishes()
	for _, w := range wishes {
		o, again := c.wishes[w]
		port := hostport.Text(hostport.ProtocolName(m.Protocol), netip.Addr{}, w.hostPort)
		if again && int(o.Container.Port())-int(o.HostPort) != int(m.Container.Port())-int(m.HostPort) {
			return fmt.Errorf("%s.hostPort: %s leads to port %d already, by %s", m.key, port, o.Container.Port()+(w.hostPort-o.HostPort), o.key)
		}
		if again && !o.Allow.Equal(m.Allow) {
			return fmt.Errorf("%s.allowFrom: %s is for other clients already, by %s", m.key, port, o.key)
		}
		if again {
			known++
		}
		c.wishes[w] = m
	}
	if known < len(wishes) {
		c.Mappings = append(c.Mappings, m)
	}
	return nil
}

// parse turns text into types. No text reaches the kernel.
func (w wireMapping) parse(key string) (Mapping, error) {
	m := Mapping{key: key}
	if w.HostPort < 1 || w.HostPort > 65535 {
		return m, fmt.Errorf("hostPort: %d is outside 1-65535", w.HostPort)
	}
	if w.ContainerPort < 1 || w.ContainerPort > 65535 {
		return m, fmt.Errorf("containerPort: %d is outside 1-65535", w.ContainerPort)
	}
	m.HostPort, m.Container = uint16(w.HostPort), netip.AddrPortFrom(netip.Addr{}, uint16(w.ContainerPort))
	if err := w.parseRange(&m); err != nil {
		return m, err
	}
	var err error
	if m.Allow, err = allowed("allowFrom", w.AllowFrom); err != nil {
		return m, err
	}
	var ok bool
	if m.Protocol, ok = hostport.Protocol(cmp.Or(strings.ToLower(w.Protocol), "tcp")); !ok {
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

// parseRange counts the ports. Both ends must be ports.
func (w wireMapping) parseRange(m *Mapping) error {
	m.Range = 1
	if w.Range == nil {
		return nil
	}
	n := *w.Range
	if n < 1 || n > 65535 {
		return fmt.Errorf("range: %d is outside 1-65535: it is how many ports are published, from hostPort on", n)
	}
	for _, first := range []struct {
		key  string
		port uint16
	}{{"hostPort", m.HostPort}, {"containerPort", m.Container.Port()}} {
		if last := int(first.port) + n - 1; last > 65535 {
			return fmt.Errorf("range: %d ports from %s %d on end at %d, beyond 65535: at most %d fit", n, first.key, first.port, last, 65536-int(first.port))
		}
	}
	m.Range = uint16(n)
	return nil
}

// ports combines the mappings with the container's addresses: the first of each
// family is the target.
func (c *Conf) ports(addrs []netip.Prefix) ([]hostport.Mapping, error) {
	var list []hostport.Mapping
	seen := make(map[hostport.Mapping]bool)
	for _, m := range c.Mappings {
		found := false
		for _, is4 := range []bool{true, false} {
			to := first(addrs, is4)
			if !to.IsValid() || m.HostIP.IsValid() && m.HostIP.Is4() != is4 {
				continue
			}
			found = true
			p := m.Mapping
			p.Container = netip.AddrPortFrom(to, m.Container.Port())
			if p.HostIP.IsUnspecified() {
				p.HostIP = netip.Addr{} // the family is the target's
			}
			if !seen[p] {
				seen[p] = true
				list = append(list, p)
			}
		}
		if !found {
			return nil, cni.Errorf(cni.CodeConfig, "%s.hostIP: %s: the container has no address of that family: use a hostIP of the other, or none", m.key, m.HostIP)
		}
	}
	return list, nil
}
