package scenario_test

import (
	"encoding/json"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	networkName = "lan"
	bridgeName  = "lan0"
	newest      = "1.1.0"
)

// Subnets of the containers.
const (
	subnetV4, gatewayV4, firstV4, secondV4 = "10.60.0.0/24", "10.60.0.1", "10.60.0.2", "10.60.0.3"
	subnetV6, gatewayV6, firstV6, secondV6 = "fd60::/64", "fd60::1", "fd60::2", "fd60::3"
)

// conf is a piece of a network configuration.
type conf map[string]any

// with is a copy with other values; nil removes a key.
func (c conf) with(changes conf) conf {
	c = maps.Clone(c)
	for k, v := range changes {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

// stdin is the configuration of a single plugin, as a runtime sends it.
func (c conf) stdin() []byte {
	GinkgoHelper()
	return encode(conf{"cniVersion": newest, "name": networkName}.with(c))
}

func encode(v any) []byte {
	GinkgoHelper()
	text, err := json.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	return text
}

// list is a configuration list.
func list(version string, plugins ...conf) []byte {
	GinkgoHelper()
	return encode(conf{"cniVersion": version, "name": networkName, "plugins": plugins})
}

// ipam is host-local with one range set for each subnet.
func (s *stage) ipam(subnets ...string) conf {
	ranges := make([][]conf, len(subnets))
	for i, subnet := range subnets {
		ranges[i] = []conf{{"subnet": subnet}}
	}
	return conf{"type": "host-local", "dataDir": s.data(), "ranges": ranges}
}

// bridge is the usual configuration over the given subnets; without any it is a
// link-layer one.
func (s *stage) bridge(subnets ...string) conf {
	c := conf{"type": "bridge", "bridge": bridgeName, "hairpinMode": true}
	if len(subnets) == 0 {
		return c
	}
	return c.with(conf{"isDefaultGateway": true, "ipMasq": true, "ipam": s.ipam(subnets...)})
}

func portmap() conf {
	return conf{"type": "portmap", "capabilities": conf{"portMappings": true}}
}

// port is one mapping.
func port(protocol string, host, container int) map[string]any {
	return map[string]any{"hostPort": host, "containerPort": container, "protocol": protocol}
}

// on is a mapping for one address of the host only.
func on(hostIP, protocol string, host, container int) map[string]any {
	p := port(protocol, host, container)
	p["hostIP"] = hostIP
	return p
}

// webPorts is a mapping of each protocol.
func webPorts() []map[string]any {
	return []map[string]any{port("tcp", 8080, 80), port("udp", 8080, 80)}
}
