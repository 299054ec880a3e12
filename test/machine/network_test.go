package machine

import (
	"encoding/json"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const networkName = "machine"

// network is plugins in the order of ADD.
type network struct {
	name    string
	plugins []stage.Conf
	// programs says that rules are made by programs.
	programs bool
	// quick are the kinds of faults that a quick run has; nil for all.
	quick []string
}

var (
	bridging   = stage.Conf{"type": "bridge", "bridge": "machine0", "isDefaultGateway": true, "ipMasq": true}
	publishing = stage.Conf{"capabilities": stage.Conf{"portMappings": true}}
	portmap    = stage.Conf{"type": "portmap"}.With(publishing)
	iptables   = stage.Conf{"ipMasqBackend": "iptables", "backend": "iptables"}
)

var networks = []network{
	{name: "chain", plugins: []stage.Conf{bridging, portmap}},
	{name: "host-local", plugins: []stage.Conf{{"type": "host-local"}}, quick: []string{"disk", "leases", "exhausted"}},
	{name: "one", plugins: []stage.Conf{bridging.With(publishing).With(stage.Confined())}, quick: []string{"disk", "limits"}},
	{name: "iptables", plugins: []stage.Conf{bridging.With(iptables), portmap.With(iptables)}, programs: true, quick: []string{"exhausted"}},
}

// complete is a plugin's configuration as a runtime hands it over. Addresses are chosen, so that
// states can be compared.
func complete(c stage.Conf, dataDir string, index int, previous []byte) stage.Conf {
	rt := stage.Conf{}
	if c["type"] != "portmap" {
		c = c.With(stage.Conf{"ipam": stage.HostLocal(dataDir, "10.67.0.0/24", "fd67::/64")})
		rt["ips"] = []string{address(4, index) + "/24", address(6, index) + "/64"}
	}
	if c["capabilities"] != nil {
		rt["portMappings"] = []stage.Conf{
			{"hostPort": 8000 + index, "containerPort": 80, "protocol": "tcp"},
			{"hostPort": 5300 + index, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"},
		}
	}
	c = c.With(stage.Conf{"cniVersion": stage.Newest, "name": networkName, "runtimeConfig": rt})
	if previous != nil {
		c["prevResult"] = raw(previous)
	}
	return c
}

// unchosen is a configuration without the addresses that it asks for.
func unchosen(config []byte) []byte {
	var c stage.Conf
	if err := json.Unmarshal(config, &c); err != nil {
		panic(err) // a slip in a test
	}
	if rt, ok := c["runtimeConfig"].(map[string]any); ok {
		delete(rt, "ips")
	}
	return stage.Encode(c)
}
