package stage

import (
	"encoding/json"
	"maps"
	"slices"
)

// Names that the configurations use.
const (
	NetworkName = "lan"
	BridgeName  = "lan0"
	Newest      = "1.1.0"
)

// Subnets of the containers.
const (
	SubnetV4, GatewayV4, FirstV4, SecondV4 = "10.60.0.0/24", "10.60.0.1", "10.60.0.2", "10.60.0.3"
	SubnetV6, GatewayV6, FirstV6, SecondV6 = "fd60::/64", "fd60::1", "fd60::2", "fd60::3"
)

// Conf is a piece of a network configuration.
type Conf map[string]any

// With is a copy with other values; nil removes a key.
func (c Conf) With(changes Conf) Conf {
	c = maps.Clone(c)
	for k, v := range changes {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// Plugin is the name of the plugin that the configuration is for.
func (c Conf) Plugin() string { return c["type"].(string) }

// Stdin is the configuration of a single plugin, as a runtime sends it.
func (c Conf) Stdin() []byte {
	return Encode(Conf{"cniVersion": Newest, "name": NetworkName}.With(c))
}

// Encode is v as JSON.
func Encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // a slip in a test
	}
	return text
}

// List is a configuration list of one or several plugins.
func List(plugins ...Conf) []byte {
	plugins = slices.Clone(plugins)
	name := NetworkName
	for i, p := range plugins {
		if own, ok := p["name"].(string); ok { // the list's name is its plugins'
			name = own
		}
		plugins[i] = p.With(Conf{"name": nil})
	}
	return Encode(Conf{"cniVersion": Newest, "name": name, "plugins": plugins})
}

// IPAM is host-local with one range set for each subnet.
func (s *Stage) IPAM(subnets ...string) Conf {
	return HostLocal(s.Data(), subnets...)
}

// HostLocal is host-local with one range set for each subnet.
func HostLocal(dataDir string, subnets ...string) Conf {
	ranges := make([][]Conf, len(subnets))
	for i, subnet := range subnets {
		ranges[i] = []Conf{{"subnet": subnet}}
	}
	return Conf{"type": "host-local", "dataDir": dataDir, "ranges": ranges}
}

// Bridge is the usual configuration over the given subnets; without any it is a
// link-layer one.
func (s *Stage) Bridge(subnets ...string) Conf {
	c := Conf{"type": "bridge", "bridge": BridgeName}
	if len(subnets) == 0 {
		return c
	}
	return c.With(Conf{"isDefaultGateway": true, "ipMasq": true, "ipam": s.IPAM(subnets...)})
}

// Confined is rules about where a container may send which let everything through, and apart from
// other networks: they have all elements, and stand in the way of no traffic of a test's.
func Confined() Conf {
	return Conf{"isolation": "network", "egress": Conf{
		"default": "deny", "allow": []Conf{{"to": "0.0.0.0/0"}, {"to": "::/0"}, {"to": "@names"}},
		"deny": []Conf{{"to": "metadata", "ports": []any{80, "443-444"}}},
	}}
}

// Portmap is the plugin behind bridge.
func Portmap() Conf {
	return Conf{"type": "portmap", "capabilities": Conf{"portMappings": true}}
}

// Chained is portmap by a backend behind an attachment, as a runtime calls it.
func Chained(backend string, prev any, ports ...map[string]any) Conf {
	return Conf{"type": "portmap", "backend": backend, "prevResult": prev, "runtimeConfig": Conf{"portMappings": ports}}
}

// Publishing is bridge that publishes ports itself, as a runtime calls it with these ports.
func Publishing(c Conf, ports ...map[string]any) Conf {
	c = c.With(Conf{"capabilities": Conf{"portMappings": true}})
	if len(ports) > 0 {
		c["runtimeConfig"] = Conf{"portMappings": ports}
	}
	return c
}

// Port is one mapping.
func Port(protocol string, host, container int) map[string]any {
	return map[string]any{"hostPort": host, "containerPort": container, "protocol": protocol}
}

// On is a mapping for one address of the host only.
func On(hostIP, protocol string, host, container int) map[string]any {
	p := Port(protocol, host, container)
	p["hostIP"] = hostIP
	return p
}
